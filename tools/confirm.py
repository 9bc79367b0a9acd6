"""Test what choose.py chose on the locked files, once, and log that it was done.

    python tools/confirm.py DIR --choices leuknb/assets/measured/choices.csv [--log leuknb/assets/measured/confirmations.csv] --confirm

Each confirmation wears the locked files out: the log counts them, and is committed. Without --confirm it only says what would be tested, and how often the
locked files were used before. They are clean only for choices that were made without them, from the weights on.
"""
import argparse
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from choose import extract, open_rows, predict
from leuknb.lib.clusters import clustered_interval, stretches
from leuknb.lib.files import atomic, digest

ROOT = Path(__file__).resolve().parent.parent


def earlier(log, data):
    "Confirmations of these images, oldest first."
    table = pd.read_csv(log, keep_default_na=False) if log.exists() else pd.DataFrame(columns=["data"])
    return table[table["data"].astype(str) == data]


def record(log, row):
    "Append a confirmation to the log, whole or not at all."
    table = pd.read_csv(log, keep_default_na=False) if log.exists() else pd.DataFrame()
    with atomic(log) as temporary:
        pd.concat([table, pd.DataFrame([row])]).to_csv(temporary, index=False, lineterminator="\n", float_format="%.5g")


def main():
    "Say what would be tested, or test and log it."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data")
    p.add_argument("--choices", default=str(ROOT / "leuknb" / "assets" / "measured" / "choices.csv"))
    p.add_argument("--log", default=str(ROOT / "leuknb" / "assets" / "measured" / "confirmations.csv"))
    p.add_argument("--confirm", action="store_true")
    args = p.parse_args()
    if not Path(args.choices).exists():
        sys.exit(f"confirm.py: {args.choices} is not there; run tools/choose.py first")
    rows, free, locked_rows = open_rows(args.data)
    choices = pd.read_csv(args.choices, dtype={"block": str}).set_index("block")
    name, head = choices.loc["all", ["features", "head"]]
    log, data = Path(args.log), digest(rows["sha256"].tolist())
    before = len(earlier(log, data))
    print(f"{name}, {head}: fitted on {len(free):,} open images, tested on {len(locked_rows):,} locked ones; used {before} times before")
    if not args.confirm:
        return
    rows_used = np.sort(np.concatenate([free, locked_rows]))
    used = rows.iloc[rows_used].reset_index(drop=True)
    train, test = np.searchsorted(rows_used, free), np.searchsorted(rows_used, locked_rows)
    X = extract([name], used["path"].to_numpy())[name]
    right = predict(head, X, used, train, test, 5) == used["label"].astype(str).to_numpy()[test]
    result = clustered_interval(right, stretches(used)[test])
    record(log, {"date": date.today().isoformat(), "data": data, "number": before + 1, "features": name, "head": head, "n": len(test), **result})
    print(pd.Series(result).to_string())


if __name__ == "__main__":
    main()
