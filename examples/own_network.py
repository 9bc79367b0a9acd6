"""Run the study with a network of your own beside AlexNet: a whole job to copy.

    python examples/own_network.py DIR-or-CSV OUT

Any torch.nn.Module will do. Here it is a small one, untrained; load your weights where it is made, or name a file of its
state by `weights`. A package offers its network to the command by an entry point in the group leuknb.backbones.
For research and teaching, not for diagnosis.
"""
import argparse
import sys

import torch
from torch import nn

from leuknb.lib.architectures import register_backbone
from leuknb.lib.errors import InputError
from leuknb.results import reproduce


class SmallNet(nn.Module):
    "Three convolutions, the mean and the maximum of each map, and a linear layer for the classes."

    def __init__(self, classes=4):
        super().__init__()
        widths = (3, 16, 32, 64)
        self.maps = nn.Sequential(*(layer for a, b in zip(widths, widths[1:])
                                    for layer in (nn.Conv2d(a, b, 5, stride=2, padding=2), nn.ReLU())))
        self.classes = nn.Linear(128, classes)

    def forward(self, images):  # (B, 3, H, W)
        maps = self.maps(images)
        return self.classes(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1))


def main():
    "Register the network and run the grid with it."
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("data", metavar="DIR-or-CSV")
    args.add_argument("out", metavar="OUT", help="a new folder; an interrupted run in it continues")
    args = args.parse_args()

    # Without `features`, they are what arrives at the last linear layer. Fine-tuning replaces that layer.
    register_backbone("small-net", SmallNet, transforms={"size": 96, "mean": (0.8, 0.7, 0.75), "std": (0.2, 0.2, 0.2)})
    run = reproduce(args.data, args.out, backbones=["small-net", "alexnet"], weights={"small-net": "own", "alexnet": "synth"},
                    heads=["svm"], variants=["original"], audit=False)
    print(run.comparison.to_string(index=False))
    print(f"\n{run.path / 'report.html'}. For research and teaching, not for diagnosis.")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:  # a message for people, not a traceback
        sys.exit(f"{error}")
