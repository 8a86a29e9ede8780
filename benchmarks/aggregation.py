"""How fast and how small Dawid-Skene is, beside crowd-kit on the same simulated votes in the same run.

    uv run benchmarks/aggregation.py [--sizes 100000,1000000,10000000] [--json FILE] [--repeats 3] [--budget 300]

Votes: 5 on each task by different annotators, 100 tasks for each annotator, 4 labels, confusion rows drawn from
Dirichlet(1 + 4 at the truth), rows in random order. Each measurement is a fresh process that is handed one pandas table
of raw task, worker and label columns: seconds from there to posteriors, and the peak memory of the process, table
included. Ours and crowd-kit take turns; medians are shown. Both stop when an iteration gains less than 1e-5 per vote,
and ours goes on with a tenth of that until its log-likelihood, which one function computes from either's posterior, is
at least crowd-kit's. crowd-kit is left out (null) where one fit would take more than --budget seconds.

Tasks, workers and labels are whole numbers; `strings` repeats it with names, up to a million votes. Compilation is
apart: `compile_seconds` is what the first fit of a process takes more than it should, with a warm cache.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CHILD = Path(__file__).with_name("measure.py")
SIZES = (100_000, 1_000_000, 10_000_000)
STRINGS_UP_TO = 1_000_000
TOLERANCES = (1e-5, 1e-6, 1e-7, 1e-8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=lambda text: [int(size) for size in text.split(",")], default=list(SIZES))
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--budget", type=float, default=300.0, help="seconds that one fit of crowd-kit may take")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"sizes": {}, "repeats": arguments.repeats, "budget_seconds": arguments.budget}
    pace = 0.0  # seconds per vote that crowd-kit took last
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory() as folder:
            child("simulate", folder, str(size))
            repeats = arguments.repeats if pace * size <= arguments.budget else 0
            row = side_by_side(folder, size, "ints", arguments.repeats, repeats)
            if size <= STRINGS_UP_TO:
                row["strings"] = side_by_side(folder, size, "strings", arguments.repeats, repeats)
            if row["crowd_kit"]:
                pace = row["crowd_kit"]["seconds"] / size
            figures["sizes"][str(size)] = row
            if size == max(size for size in arguments.sizes if size <= 1_000_000 or size == min(arguments.sizes)):
                figures |= child("later", folder)
    print(table(figures))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def side_by_side(folder: str, size: int, names: str, repeats: int, theirs_too: int) -> dict[str, Any]:
    ours: list[dict[str, Any]] = []
    theirs: list[dict[str, Any]] = []
    tolerance = list(TOLERANCES)
    while len(ours) < repeats:
        say(f"{size} votes, {names}, round {len(ours) + 1} of {repeats}: ours")
        ours.append(child("ours", folder, names, str(tolerance[0])))
        if len(theirs) < theirs_too:
            say(f"{size} votes, {names}, round {len(ours)} of {repeats}: crowd-kit")
            theirs.append(child("crowd_kit", folder, names))
            found = child("score", folder)
            ours[-1] |= {"log_likelihood": found["ours"]}
            theirs[-1] |= {"log_likelihood": found["crowd_kit"]}
            if found["ours"] < found["crowd_kit"] and len(tolerance) > 1:
                say(f"log-likelihood {found['ours']:.2f} is below {found['crowd_kit']:.2f}: a tighter tolerance")
                ours, tolerance = [], tolerance[1:]
    result = {"ours": summary(ours, size), "crowd_kit": summary(theirs, size), "ratio": None}
    if theirs:
        result["ratio"] = result["crowd_kit"]["seconds"] / result["ours"]["seconds"]
    return result


def summary(runs: list[dict[str, Any]], size: int) -> Any:
    """The medians of the runs, or None if there are none."""
    if not runs:
        return None
    last = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    last["ns_per_vote_iteration"] = last["seconds"] * 1e9 / size / last["iterations"]
    return last


def child(*arguments: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, str(CHILD), *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments[:1])} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout or "{}")
    return result


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def table(figures: dict[str, Any]) -> str:
    lines = [
        f"{'votes':>12} {'names':>8} {'who':>10} {'seconds':>9} {'peak MB':>8} {'sweeps':>6} {'ns':>7} {'ratio':>6}"
    ]
    for size, row in figures["sizes"].items():
        for names, pair in (("ints", row), ("strings", row.get("strings"))):
            for who in ("ours", "crowd_kit") if pair else ():
                if pair[who] is None:
                    lines.append(f"{int(size):>12,} {names:>8} {who:>10}   left out: over the budget")
                    continue
                seconds, peak, n, ns = (
                    pair[who][key] for key in ("seconds", "peak_mb", "iterations", "ns_per_vote_iteration")
                )
                ratio = f"{pair['ratio']:6.1f}" if who == "ours" and pair["ratio"] else ""
                lines.append(
                    f"{int(size):>12,} {names:>8} {who:>10} {seconds:9.3f} {peak:8.0f} {n:6.0f} {ns:7.1f} {ratio}"
                )
    lines.append("ns: per vote and iteration. ratio: crowd-kit's seconds to ours at no lower a log-likelihood.")
    for who, suffix in (("Dawid-Skene", ""), ("the default", "_default")):
        live, warm = figures[f"live_update_us{suffix}"], figures[f"warm_ratio{suffix}"]
        lines.append(
            f"{who}: live update of a vote {live['one_by_one']:.1f} µs one by one, {live['batch']:.2f} µs in 1,000; "
            f"refit after 0.1 % new votes, cold to warm: {warm:.1f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
