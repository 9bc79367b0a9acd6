"""Write what leuknb/assets/measured says about the bundled AlexNet into its model card.

    python tools/card.py

Only the card's `transfer` changes. Run it whenever more seeds have been measured (tools/measure.py).
"""
import json
from pathlib import Path

import pandas as pd

from leuknb.lib.files import write_json
from leuknb.paper import published

ROOT = Path(__file__).resolve().parent.parent
CARD = ROOT / "leuknb/assets/weights/alexnet.json"
CELL = ["split", "variant", "head"]
SPLITS = {"paper": "paper", "group": "group", "blocks": "blocks, embargo 75"}


def measured(weights):
    "Rows of AlexNet with these weights, by split, variant and head; numbers in per cent."
    paths = [ROOT / f"leuknb/assets/measured/{weights}{more}-alexnet.csv" for more in ("", "-tuned")]
    table = pd.concat([pd.read_csv(p, keep_default_na=False) for p in paths if p.exists()])
    table = table[(table["backbone"] == "alexnet") & (table["weights"] == weights)].set_index(CELL)
    scores = ["accuracy", "accuracy_low", "accuracy_high", "benign"]
    return table.assign(**(100 * table[scores]).round(2)).to_dict("index")


def row(cell, synth, random):
    "One cell of the card: synth beside untrained beside the paper; None where there is no number."
    split, variant, head = cell
    paper, random = published("alexnet", head, variant) if split == "paper" else None, random or {}
    return {"split": SPLITS[split], "images": variant, "head": head, "seeds": {"synth": synth["seeds"], "untrained": random.get("seeds", 0)},
            "synth": synth["accuracy"], "synth, 95 % interval": [synth["accuracy_low"], synth["accuracy_high"]],
            "synth, Benign recall": synth["benign"], "untrained": random.get("accuracy"),
            "untrained, Benign recall": random.get("benign"), "paper (ImageNet)": paper and round(100 * paper.accuracy, 2)}


def main():
    "Write the rows, say how many."
    synth, random = measured("synth"), measured("random")
    card = json.loads(CARD.read_text(encoding="utf-8"))
    card["transfer"] = [row(cell, numbers, random.get(cell)) for cell, numbers in synth.items()]
    write_json(CARD, card)
    print(f"{CARD.relative_to(ROOT)}: {len(card['transfer'])} rows")


if __name__ == "__main__":
    main()
