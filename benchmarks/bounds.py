"""How often the certified bound is wrong at any look, and how far below the truth it lies.

    uv run benchmarks/bounds.py [--json FILE] [--campaigns 2000] [--looks 2000]

A campaign audits one label after the other of a simulated frozen set and looks after each. It misses if the bound
exceeds the truth at any look. Distances are means over campaigns, divided by that of the one-sided Clopper-Pearson
bound of the same confidence, which may look only once. Uneven draws: weights spread evenly in their logarithm over a
factor of ten, whatever is right.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta, binom

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from aggregation.core.bounds import Betting, draw_audits

ALPHA, TASKS = 0.05, 20_000
ACCURACIES = (0.6, 0.9, 0.99)
AUDITS = (50, 100, 300, 1000)
#: Measured on all campaigns; the other distances on an eighth of them, to stay under a minute.
MAIN = ("even", 300)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    parser.add_argument("--campaigns", type=int, default=2000)
    parser.add_argument("--looks", type=int, default=2000)
    arguments = parser.parse_args()
    campaigns = {"even": arguments.campaigns, "uneven": arguments.campaigns // 2}
    figures: dict[str, Any] = {"alpha": ALPHA, "tasks": TASKS, "looks": arguments.looks}
    for draws in campaigns:
        figures[draws] = {str(a): measure(a, draws, campaigns[draws], arguments.looks) for a in ACCURACIES}
    print_table(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


def measure(accuracy: float, draws: str, campaigns: int, looks: int) -> dict[str, Any]:
    """How often campaigns miss, and the ratio of distances by number of audits."""
    random = np.random.default_rng([round(100 * accuracy), draws == "even"])
    count = round(accuracy * TASKS)
    misses = sum(
        Betting(*audit(random, count, looks, draws), TASKS, ALPHA).refuted_at(count) < looks for _ in range(campaigns)
    )
    distance = {
        n: accuracy - mean_bound(random, count, n, draws, campaigns if (draws, n) == MAIN else -(-campaigns // 8))
        for n in AUDITS
    }
    return {
        "campaigns": campaigns,
        "misses": misses / campaigns,
        "misses_upper_99": float(beta.ppf(0.99, misses + 1, campaigns - misses)),
        "distance": {str(n): round(distance[n], 5) for n in AUDITS},
        "ratio": {str(n): round(distance[n] / clopper_pearson(accuracy, n), 3) for n in AUDITS},
    }


def mean_bound(random: np.random.Generator, count: int, n: int, draws: str, campaigns: int) -> float:
    """The bound after n audits, each of which was looked at; mean over campaigns."""
    bounds = [Betting(*audit(random, count, n, draws), TASKS, ALPHA).fewest_right() for _ in range(campaigns)]
    return float(np.mean(bounds)) / TASKS


def clopper_pearson(accuracy: float, n: int) -> float:
    """Expected distance of the exact one-sided bound for a single look after n audits."""
    right = np.arange(n + 1)
    bound = np.append(0.0, beta.ppf(ALPHA, right[1:], n - right[1:] + 1))
    return float(accuracy - binom.pmf(right, n, accuracy) @ bound)


def audit(
    random: np.random.Generator, count: int, n: int, draws: str
) -> tuple[np.ndarray[Any, np.dtype[np.bool_]], np.ndarray[Any, np.dtype[np.float64]]]:
    """Whether each audited label was right, the first `count` tasks being so, and its share of an even draw."""
    if draws == "even":
        return random.choice(TASKS, n, replace=False) < count, np.ones(n)
    weight = 10.0 ** random.random(TASKS)
    row, probability, least = draw_audits(weight, n, seed=int(random.integers(2**32)))
    return row < count, least / probability


def print_table(figures: dict[str, Any]) -> None:
    print(f"{figures['looks']} looks, alpha {ALPHA}")
    print("draws   accuracy  campaigns  misses  (99 % upper)  distance / Clopper-Pearson's at n = ", end="")
    print(", ".join(map(str, AUDITS)))
    for draws in ("even", "uneven"):
        for accuracy, row in figures[draws].items():
            misses = f"{row['misses']:6.2%}  ({row['misses_upper_99']:6.2%})"
            ratios = "  ".join(f"{ratio:5.2f}" for ratio in row["ratio"].values())
            print(f"{draws:7} {accuracy:8}  {row['campaigns']:9}  {misses}       {ratios}")


if __name__ == "__main__":
    main()
