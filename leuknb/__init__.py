"""Leukaemia classification from blood smears: what is typed first is here, and loaded when it is first used."""

__version__ = "0.1.0"

_HOME = {  # name -> the module that defines it; no name is that of a module
    "catalogue": "data", "split": "splits", "make_smears": "patients",
    "Backbone": "backbones", "FineTuned": "finetune", "Robust": "robust",
    "SVMHead": "svm", "KNNHead": "knn", "SoftmaxHead": "heads", "LDAHead": "heads",
    "metrics_table": "metrics", "published": "paper", "reproduce": "results", "Run": "results", "predict": "results",
}


def __getattr__(name):
    from importlib import import_module
    if name not in _HOME:
        raise AttributeError(f"module 'leuknb' has no attribute {name!r}")
    return getattr(import_module(f"leuknb.{_HOME[name]}"), name)


def __dir__():
    return sorted([*globals(), *_HOME])
