"""The audit against folders in which the truth is known."""
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import norm
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import make_pipeline

from leuknb import audit, leakage, metrics, shifts, shortcuts
from leuknb.lib import scoring
from leuknb.data import catalogue
from leuknb.splits import split
from leuknb.lib.errors import InputError
from leuknb.metrics import wilson
from leuknb.patients import make_smears, smear

QUIET = dict(progress=False)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    "Folders of smears: nothing planted, stain planted, scale bars planted."
    root = tmp_path_factory.mktemp("smears")
    wanted = {"honest": (0, "same"), "stain": (1, "same"), "bars": (0, "class")}
    for name, (leak, bar) in wanted.items():
        make_smears(root / name, 96, 16, leak, seed=3, size=128, scale_bar=bar, duplicates=8, workers=1, progress=False)
    return {name: root / name for name in wanted}


@pytest.fixture(scope="module")
def cats(planted):
    return {name: catalogue(out / "catalogue.csv") for name, out in planted.items()}


@pytest.fixture(scope="module")
def tables(cats):
    asked = ["background colour", "stain hue", "scale-bar corner", *shortcuts.CONTROLS]
    features = {name: shortcuts.table_features(cat, asked, cache=False, **QUIET) for name, cat in cats.items()}
    return {name: shortcuts.shortcut_table(cat, split(cat, "group-kfold", folds=4), features=features[name], **QUIET)
            .set_index("name") for name, cat in cats.items()}


def test_planted_stain_is_found(tables):
    found = tables["stain"].loc[["background colour", "stain hue"]]
    assert found["found"].all() and (found["accuracy"] > 0.8).all()
    assert not tables["stain"].loc["scale-bar corner", "found"]


def test_planted_scale_bars_are_found(tables):
    assert tables["bars"].loc["scale-bar corner", "found"] and not tables["bars"].loc["stain hue", "found"]


def test_nothing_planted_nothing_found(tables):
    blind = tables["honest"].loc[["background colour", "stain hue", "scale-bar corner"]]
    assert not blind["found"].any()


def test_verdicts_name_what_was_planted(tables):
    assert "stain hue" in shortcuts.shortcut_verdicts(tables["stain"].reset_index())[1]
    assert "scale-bar corner" in shortcuts.shortcut_verdicts(tables["bars"].reset_index())[1]


def test_every_planted_copy_is_named(planted):
    cat = catalogue(planted["honest"] / "Original")
    parts = split(cat, "kfold")
    truth = pd.read_csv(planted["honest"] / "truth.csv", keep_default_na=False).query("copy_of != ''")
    fold = parts[parts["split"] == "test"].set_index("image")["fold"]
    apart = {frozenset(p) for p in zip(truth["image"], truth["copy_of"]) if fold[p[0]] != fold[p[1]]}
    pairs = leakage.leak_pairs(cat, parts)
    assert {frozenset(p) for p in zip(pairs["test"], pairs["train"])} == apart and apart
    assert leakage.leak_pairs(cat, split(cat, "group-kfold")).empty


def test_a_twin_seen_only_in_segmented_pictures(tmp_path):
    "Two different originals whose segmented pictures are the same stand on two sides."
    rng = np.random.default_rng(0)
    blob = np.kron(rng.integers(0, 255, (8, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    for label in ("Benign", "Early"):
        for k in range(6):
            for variant in ("Original", "Segmented"):
                path = tmp_path / variant / label / f"{k}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                same = variant == "Segmented" and label == "Early" and k in (0, 5)
                Image.fromarray(blob if same else rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(path)
    cat = catalogue(tmp_path)
    parts = pd.DataFrame({"image": cat["image"].unique(), "fold": 0})
    parts["split"] = np.where(parts["image"].str.endswith("0"), "test", "train")
    pairs = leakage.leak_pairs(cat, parts)
    assert pairs[["variant", "test", "train", "identical"]].values.tolist() == [["segmented", "Early/0", "Early/5", True]]
    verdicts = leakage.leak_verdicts(leakage.leak_table(cat, parts, pairs), pairs)
    assert any("only by their segmented" in v for v in verdicts)


def test_interval_of_single_images_is_wilsons():
    right = np.r_[np.ones(30), np.zeros(10)]
    np.testing.assert_allclose(metrics.accuracy_interval(right, np.arange(40)), (0.75, *wilson(30, 40)))


def test_interval_widens_with_groups_and_stays_in_range():
    right = np.repeat([1, 1, 1, 0], 10)
    widths = [np.ptp(metrics.accuracy_interval(right, np.arange(40) // size)[1:]) for size in (1, 5, 10, 40)]
    assert widths == sorted(widths) and widths[-1] <= 1
    for share in (0, 1):
        value, low, high = metrics.accuracy_interval(np.full(40, share), np.arange(40) // 10)
        assert 0 <= low <= value <= high <= 1 and high - low > np.ptp(wilson(40, 40))


def test_clustered_error_against_statsmodels():
    sm = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(0)
    units = rng.integers(0, 12, 200)
    values = rng.normal(size=12)[units] + rng.normal(size=200)
    fit = sm.OLS(values, np.ones(200)).fit(cov_type="cluster", cov_kwds={"groups": units, "use_correction": False})
    m = len(np.unique(units))
    assert metrics.clustered_error(values, units)[0] == pytest.approx(fit.bse[0] * np.sqrt(m / (m - 1)))


def test_paired_gap_of_single_images_is_the_t_interval():
    from scipy.stats import t
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 2, (2, 60))
    d = a - b
    half = t.ppf(0.975, 59) * d.std(ddof=1) / np.sqrt(60)
    np.testing.assert_allclose(scoring.paired_gap(a, b, np.arange(60)), (d.mean(), d.mean() - half, d.mean() + half))
    assert norm.ppf(0.975) < t.ppf(0.975, 59)


@pytest.mark.parametrize("family", shifts.SHIFTS)
def test_shifts_change_pictures_more_with_strength(family):
    rgb = smear(1, "Early", scale_bar=0).image
    moved = [np.abs(shifts.shift(rgb, family, s).astype(float) - rgb).mean() for s in shifts.SEVERITIES]
    assert 0 < moved[0] < moved[1] < moved[2]
    again = shifts.shift(rgb, family, "mild")
    assert again.dtype == np.uint8 and again.shape == rgb.shape and (again == shifts.shift(rgb, family, "mild")).all()


def test_shifts_work_on_odd_shapes_and_read_only_pictures():
    rgb = np.ascontiguousarray(smear(1, "Pro").image[:100, :37])
    rgb.setflags(write=False)
    assert all(shifts.shift(rgb, f, "strong").shape == rgb.shape for f in shifts.SHIFTS)


def test_noise_depends_on_seed_and_picture():
    a, b = (smear(k, "Pro").image for k in (1, 2))
    noise = lambda rgb, seed: shifts.shift(rgb, "noise", "medium", seed).astype(int) - rgb
    assert (noise(a, 0) != noise(a, 1)).any() and (noise(a, 0) != noise(b, 0)).any()


def test_stain_factor_one_changes_nothing():
    rgb = smear(1, "Pre").image
    assert np.abs(shifts.stain_strength(rgb, 1.0).astype(int) - rgb).max() <= 1


def test_shift_table_counts_what_models_say(cats):
    rows = scoring.one_variant(cats["honest"], "original").head(20)
    y = rows["label"].astype(str).to_numpy()
    always = DummyClassifier(strategy="constant", constant="Benign").fit(np.zeros((4, 1)), ["Benign", "Early", "Pre", "Pro"])
    model = make_pipeline(shortcuts.ShortcutFeatures("mean colour", cache=False), always)
    table = shifts.shift_table({"always Benign": model}, rows, ["warm", "blur"], ["mild"], **QUIET)
    assert table["accuracy"].tolist() == pytest.approx([(y == "Benign").mean()] * 4)
    assert (table["benign"] == 1).all() and table["family"].tolist() == ["none", "warm", "blur", "mean"]
    assert shifts.plot_shifts(table) and shifts.shift_summary(table)["mean"].iloc[0] == pytest.approx((y == "Benign").mean())


def test_mask_table_counts_black_pictures():
    kept = pd.DataFrame({"image": list("abcdef"), "label": pd.Categorical(["Pre"] * 3 + ["Pro"] * 3), "kept": [0.3, 0.2, 0.01, 0.001, 0.01, 0.4]})
    table = leakage.mask_table(kept).set_index("label")
    assert table["almost_black"].tolist() == pytest.approx([1 / 3, 2 / 3]) and table["of_black"].tolist() == pytest.approx([1 / 3, 2 / 3])


def test_audit_writes_a_folder_or_nothing(cats, tmp_path):
    found = audit.audit(cats["stain"], split(cats["stain"], "group"), chapters=["shortcuts", "masks"], thorough=False, **QUIET)
    out = found.save(tmp_path / "audit")
    assert {"audit.html", "audit.txt", "audit-shortcuts.csv", "audit-shortcuts.png", "audit-masks.csv"} <= {p.name for p in out.iterdir()}
    assert "not for diagnosis" in str(found) and "<img" in found._repr_html_()
    with pytest.raises(InputError, match="already holds"):
        found.save(out)


def odd(cats, kind):
    "A catalogue that lacks something."
    cat = cats["honest"]
    first = cat.groupby(["variant", "label"], observed=True)
    return {"one class": cat[cat["label"] == "Pre"], "two a class": first.head(2),
            "no segmented": cat[cat["variant"] == "original"], "no original": cat[cat["variant"] == "segmented"],
            "one patient": cat.assign(group="P01"), "one of a class": cat[(cat["label"] != "Pro") | cat["image"].eq(cat.loc[cat["label"] == "Pro", "image"].iloc[0])]}[kind]


@pytest.mark.parametrize("kind, note, kept", [
    ("one class", "one class (Pre)", "masks"), ("two a class", "needs 5", "shortcuts"), ("no segmented", "no segmented", "shortcuts"),
    ("no original", "needs" , "masks"), ("one patient", "1 group", "shortcuts")])
def test_odd_folders_give_a_partial_audit(cats, kind, note, kept):
    found = audit.audit(odd(cats, kind), chapters=["shortcuts", "leaks", "masks"] + ["splits"] * (kind == "two a class"), **QUIET)
    assert kept in found.chapters
    if kind != "no original":
        assert any(note in n for n in found.notes), found.notes


def test_too_few_images_are_refused(cats):
    with pytest.raises(InputError, match="class Pro has 1 image"):
        audit.audit(odd(cats, "one of a class"), **QUIET)


def test_unknown_names_are_refused(cats):
    rgb = smear(1, "Pre").image
    for call, message in [(lambda: shifts.shift(rgb, "sepia"), "choose from warm"), (lambda: shifts.shift(rgb, "warm", "huge"), "choose from mild"),
                          (lambda: audit.audit(cats["honest"], chapters=["x"]), "choose from shortcuts")]:
        with pytest.raises(InputError, match=message):
            call()
