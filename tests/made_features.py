"Rows of features with structure, to fit heads on."
import numpy as np
from sklearn.datasets import make_classification

NAMES = np.array(["Benign", "Early", "Pre", "Pro"])


def features(n=240, p=300, classes=4, seed=0, noise=0.05):
    "Features with structure, more of them than rows, and labels."
    X, y = make_classification(n, p, n_informative=12, n_redundant=20, n_classes=classes, flip_y=noise, class_sep=1.5, random_state=seed)
    return X.astype(np.float32), NAMES[y]


X, Y = features()
TRAIN, TEST = np.arange(240) < 160, np.arange(240) >= 160
