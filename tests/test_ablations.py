"What is left of an image, and what chance reaches."
import numpy as np
import pandas as pd
import pytest
from leuknb import ablations
from leuknb.ablations import ABLATIONS, ablation_table, ablation_verdicts, one_histogram, reduced, swap_table, swapped, variant_table
from leuknb.lib.errors import InputError
from leuknb.lib.files import read_image
from leuknb.lib.nulls import dealt_out, ridge_correct
from leuknb.lib.nulls import tested_in as folds_tested
from leuknb.patients import smear
from leuknb.splits import split
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def drawn(seed, signal=0.0, names=5, patients=20, images=3, size=24):
    "Features of small sets whose patients differ; in the first kind of feature the classes do as well: found, for each."
    rng = np.random.default_rng(seed)
    number = np.repeat(np.arange(patients), images)
    rows = pd.DataFrame({"image": [f"i{k}" for k in range(len(number))], "label": [f"c{p % 4}" for p in number],
                         "group": [f"p{p}" for p in number], "variant": "original"}).astype({"label": "category"})
    parts = split(rows, "group-kfold", seed=seed)
    codes = dealt_out(rows["label"].astype(str).to_numpy(), rows["group"].to_numpy(), folds_tested(rows, parts), 99, seed)
    means = []
    for name in range(names):
        own = rng.normal(size=(patients, size))
        own[:, :4] += signal * (name == 0) * np.eye(4)[np.arange(patients) % 4]
        means.append(ridge_correct(own[number] + rng.normal(size=(len(number), size)), codes, rows, parts).mean().to_numpy())
    highest = np.max([mean[1:] for mean in means], axis=0)
    return [(1 + (highest >= mean[0]).sum()) / 100 <= ablations.LEVEL for mean in means]


def test_clean_sets_raise_few_alarms():
    assert sum(any(drawn(seed)) for seed in range(200)) <= 10


@pytest.mark.parametrize("signal, least, most", [(2, 0, 12), (3, 26, 40), (3.5, 36, 40), (5, 39, 40)])
def test_how_many_planted_signals_are_found(signal, least, most):
    "Of 40 sets of 60 images of 20 patients; the signal is in one kind of feature of five, in standard deviations between patients."
    found = np.array([drawn(seed, signal=signal) for seed in range(1000, 1040)])
    assert least <= found[:, 0].sum() <= most and found[:, 1:].any(axis=1).sum() <= 5


def test_the_ridge_head_is_scikit_learns():
    rng, number = np.random.default_rng(0), np.arange(60)
    rows = pd.DataFrame({"image": [f"i{k}" for k in number], "label": pd.Categorical(np.array(list("abc"))[number % 3]),
                         "group": [f"g{k}" for k in number], "variant": "original"})
    parts, X = split(rows, "group-kfold"), rng.normal(size=(60, 8)) + np.eye(8)[number % 3]
    ours = ridge_correct(X, pd.factorize(rows["label"].astype(str))[0][None], rows, parts)[0]
    for fold in range(5):
        train, test = (rows["image"].isin(parts[(parts["fold"] == fold) & (parts["split"] == part)]["image"]).to_numpy()
                       for part in ("train", "test"))
        theirs = make_pipeline(StandardScaler(), RidgeClassifier(alpha=0.1 * 8)).fit(X[train], rows["label"][train])
        correct = theirs.predict(X[test]) == rows["label"][test].to_numpy()
        assert (ours[rows["image"][test]].to_numpy() == correct).all()


def test_labels_stay_with_their_patient_and_their_fold():
    labels, patients = np.repeat(list("abab"), 3), np.repeat(list("wxyz"), 3)
    sets = dealt_out(labels, patients, np.repeat([0, 0, 1, 1], 3), 50, 0)
    assert (sets[0] == (labels == "b")).all() and (sets[:, ::3] == sets[:, 2::3]).all()
    assert (sets[:, [0, 3]].sum(axis=1) == 1).all() and (sets[:, [6, 9]].sum(axis=1) == 1).all() and len(np.unique(sets, axis=0)) == 4
    with pytest.raises(InputError, match="several classes"):
        dealt_out(labels, np.repeat(list("ww"), 6), np.zeros(12), 19, 0)


@pytest.mark.parametrize("name", ABLATIONS)
def test_ablations_of_any_image(name):
    for image in (smear(1, "Early", 128).image, smear(2, "Pro", 90).image[:64], np.full((70, 70, 3), 240, np.uint8), np.zeros((64, 64, 3), np.uint8)):
        changed = ABLATIONS[name].change(reduced(image))
        assert changed is None or changed.dtype == np.uint8 and changed.ndim == 3 and changed.shape[2] == 3 and changed.size


def test_what_each_ablation_removes():
    drawn_smear = smear(3, "Pre", 160)
    image, dark = drawn_smear.image, lambda rgb: rgb @ np.float32([0.299, 0.587, 0.114])
    grey = ABLATIONS["grey, equalised"].change(image)
    assert (grey[..., 0] == grey[..., 2]).all() and abs(np.histogram(grey, 8)[0] / grey.size - 1 / 8).max() < 0.02
    dim = ABLATIONS["grey, equalised"].change(np.rint(image * 0.7).astype(np.uint8))
    assert np.abs(grey.astype(int) - dim).mean() < 3
    other = smear(4, "Benign", 160, stain_leak=1.0).image
    assert (np.sort(one_histogram(image).reshape(-1, 3), axis=0) == np.sort(one_histogram(other).reshape(-1, 3), axis=0)).all()
    patch = ABLATIONS["cell-free patch"].change(image)
    assert patch.shape[:2] == (28, 28) and dark(patch).min() > 0.5 * np.percentile(dark(image), 95)
    tiles = ABLATIONS["shuffled tiles"].change(image)
    assert (np.sort(tiles.reshape(-1, 3), axis=0) == np.sort(image[:140, :140].reshape(-1, 3), axis=0)).all() and not (tiles == image[:140, :140]).all()
    background, cells = ABLATIONS["background"].change(image), ABLATIONS["cells"].change(image)
    covered = (background != image).any(axis=-1)
    assert covered[drawn_smear.mask > 0].mean() > 0.85 > 0.3 > covered.mean() and (cells == ablations.GROUND).all(axis=-1).mean() > 0.6
    both = swapped(image, other)
    assert (both == image).all(axis=-1).mean() > 0.02 and (both == other).all(axis=-1).mean() > 0.3


class Colours:
    "Sees the mean colour of an image, and nothing else."

    def transform(self, paths):
        return np.array([np.asarray(read_image(path)).mean(axis=(0, 1)) for path in paths])


def test_the_table_finds_a_planted_patch_signal(tmp_path):
    from leuknb.data import catalogue
    from leuknb.patients import make_smears
    make_smears(tmp_path / "smears", 48, 24, stain_leak=1.0, seed=8, size=96, progress=False)
    cat = catalogue(tmp_path / "smears" / "catalogue.csv", variants=("original",))
    table = ablation_table(cat, split(cat, "group-kfold"), ["cell-free patch", "patch, equalised"], network=Colours(), progress=False)
    assert table["found"].tolist() == [True, False] and (table["low"] < table["accuracy"]).all()
    assert table["rough"].all() and table.folded()["accuracy"].str.endswith("†").all(), "24 patients are few"
    swaps = swap_table(cat, split(cat, "group-kfold"), network=Colours(), progress=False).set_index("predicted")["share"]
    assert abs(swaps.sum() - 1) < 1e-6 and swaps["background"] > 0.5, "the mean colour is that of the background"
    assert any("need not look at cells" in verdict for verdict in ablation_verdicts(table))
    with pytest.raises(InputError, match="nuclei"):
        ablation_table(cat, split(cat, "group-kfold"), ["nuclei"])


@pytest.mark.parametrize("shared", [True, False])
def test_a_signal_crosses_where_both_variants_hold_it(shared):
    "Features stand in the paths: the class is in the same columns of both variants, or in others."
    class Paths:
        def transform(self, paths):
            rng = np.random.default_rng(0)
            place = [(0 if shared or "original" in path else 4) + int(path[-1]) for path in paths]
            return (4 * np.eye(8)[place] + rng.normal(size=(len(paths), 8))).astype(np.float32)

    rows = [(f"i{k}", f"{variant} {k} {k % 4}", f"c{k % 4}", f"p{k // 4}", variant) for variant in ("original", "segmented") for k in range(120)]
    cat = pd.DataFrame(rows, columns=["image", "path", "label", "group", "variant"]).astype({"label": "category"})
    only = cat.iloc[:-1]  # one image lacks its twin
    table = variant_table(only, split(cat, "kfold"), network=Paths(), progress=False).set_index(["trained", "tested"])
    assert (table["n"] == 119).all() and table.loc[("original", "original"), "gap"] == 0 and table.loc[("segmented", "segmented"), "accuracy"] > 0.9
    crossed = table.loc[[("original", "segmented"), ("segmented", "original")]]
    assert (crossed["accuracy"] > 0.9).all() if shared else (crossed["high"] < 0.6).all() and (crossed["gap_high"] < -0.3).all()
    with pytest.raises(InputError, match="segmented"):
        variant_table(cat[cat["variant"] == "original"], split(cat, "kfold"), progress=False)
