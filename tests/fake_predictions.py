"Predictions tables of models that see the truth through noise."
import numpy as np
import pandas as pd

from leuknb.calibration import rescale

CLASSES = ["Benign", "Early", "Pro"]


def model(head, seed, n=240, skill=1.5, folds=3, repeats=1):
    "Predictions of a model that sees the truth through noise; images are the same for every model."
    true = np.random.default_rng(99).integers(3, size=n)
    parts = []
    for repeat in range(repeats):
        rng = np.random.default_rng([seed, repeat])
        logits = skill * np.eye(3)[true] + rng.gumbel(size=(n, 3)) * 0.8
        p = rescale(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), 1)
        fold = repeat * folds + np.arange(n) % folds
        table = pd.DataFrame(p, columns=[f"p_{c}" for c in CLASSES]).assign(image=[f"i{i:03d}" for i in range(n)], variant="original", backbone="alexnet",
            weights="random", head=head, split="test", fold=fold, true=np.array(CLASSES)[true], predicted=np.array(CLASSES)[p.argmax(1)])
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def three_models():
    "A good, a poor, and a nearly good model."
    return pd.concat([model("svm", 1, skill=3), model("knn", 2, skill=1), model("softmax", 3, skill=2.9)], ignore_index=True)
