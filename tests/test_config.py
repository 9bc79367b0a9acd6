"The settings of a run: what they make, and what is refused before any work."
import pytest

from leuknb.finetune import PRESETS
from leuknb.lib.config import Config, bundled_weights, check_config, make_backbone, make_finetuned, make_head
from leuknb.lib.errors import InputError


def test_settings_of_fine_tuning():
    fixed = make_finetuned(Config(tune=False), "alexnet")
    assert {name: getattr(fixed, name) for name in PRESETS["matlab"]} == PRESETS["matlab"]
    assert make_finetuned(Config(), "alexnet").unfreeze == "classifier"
    assert make_finetuned(Config(features="fine-tuned"), "alexnet").unfreeze == "last-block"
    assert make_finetuned(Config(tune=False, unfreeze="last-block", epochs=3), "vgg19").get_params()["epochs"] == 3


def test_estimators_get_the_shared_settings():
    config = Config(weights={"": "random", "vgg19": "synth"}, layer="conv1", pool="stats", size=64, crop=False, seed=3)
    params = make_backbone(config, "alexnet", progress=False).get_params()
    same = {"weights": "random", "layer": "conv1", "pool": "stats", "size": 64, "crop": False, "seed": 3, "progress": False}
    assert same.items() <= params.items()
    assert make_backbone(config, "vgg19", weights="elsewhere").weights == "elsewhere" and config.weights_of("vgg19") == "synth"
    assert make_head(config, "robust", "alexnet").get_params()["layer"] == "conv1"
    assert make_head(config, "knn", "alexnet").get_params()["tune"]


def test_weights_without_a_download():
    assert bundled_weights(("alexnet", "resnet18")) == {"alexnet": "synth", "resnet18": "random"}


@pytest.mark.parametrize("settings, message", [
    ({"heads": ("svm", "forest")}, "heads 'forest': choose from svm, knn, softmax, lda, fine-tuned, robust"),
    ({"heads": ()}, "`heads` is empty"),
    ({"backbones": ()}, "`backbones` is empty"),
    ({"features": "mine"}, "features 'mine': choose from frozen, fine-tuned"),
    ({"unfreeze": "everything"}, "unfreeze 'everything': choose from classifier, last-block, all"),
    ({"features": "fine-tuned", "unfreeze": "classifier"}, "choose last-block or all"),
    ({"epochs": 0}, "epochs=0: give a whole number of at least 1"),
    ({"repeats": 0}, "repeats=0: give a whole number of at least 1"),
    ({"embargo": -1}, "embargo=-1: give a whole number of at least 0"),
    ({"seed": 2**32}, "seed=4294967296: give a whole number"),
    ({"weights": {"resnet18": "random"}}, "`weights` names resnet18, which is not among the backbones"),
    ({"weights": {"": ""}}, "`weights` of all backbones are empty"),
    ({"split": ""}, "`split` is empty"),
    ({"split": "mine.csv", "repeats": 2}, "leave out `repeats` and `quick`"),
    ({"split": "mine.csv", "quick": True}, "leave out `repeats` and `quick`"),
    ({"heads": ("fine-tuned",), "layer": "conv3"}, "takes the whole network: leave them out"),
    ({"heads": ("robust",), "preprocess": "denoise"}, "leave out `preprocess` and `features`"),
    ({"heads": ("robust",), "variants": ("segmented",)}, "choose original alone as `variants`"),
    ({"heads": ("robust",), "tune": False}, "leave out tune=False"),
])
def test_what_cannot_be_met(settings, message):
    with pytest.raises(InputError) as error:
        check_config(Config(**settings))
    assert message in str(error.value)


def test_variants_are_checked_once_the_images_are_known():
    check_config(Config(variants=("stained",)))
    with pytest.raises(InputError, match="variants 'stained': choose from original, segmented"):
        check_config(Config(variants=("stained",)), ("original", "segmented"))
