"""What votes buy under the default policy and under others: recorded crowds replayed.

    uv run benchmarks/loop.py [--data DIR] [--datasets a,b] [--seeds 20] [--policy default] [--json FILE] [--plot FILE]
    uv run benchmarks/loop.py --stopping
    uv run benchmarks/loop.py --learner

DIR holds a folder for each crowd (see datasets.py); by default `$CROWD_DATASETS`, and where that is not set either, the
bluebird votes that are shipped. A policy is "default" or a YAML file, as `manage.py backtest` reads it. Beside it:

- new_project: the settings of a new project;
- random: any open task; uniform: the task with the fewest votes, so that all get one vote before any gets two;
- entropy, margin: the task whose posterior is most doubtful;
- activelab: ActiveLab's score (arXiv:2301.11856) in our own implementation, `acquisition.activelab`, with equal weights
  for all annotators; cleanlab's is under the AGPL, which no dependency of ours is;
- vote_entropy: the task whose votes disagree most; new_or_relabel: where a vote tells most, and teaches a learner.

votes_to_majority and votes_to_full: the smallest share of the recorded votes after which the mean curve never again
falls below what majority vote, and `auto` less half a point, have with all votes; 1 is never.

--stopping: the policy with target 0.95 and 50 gold tasks drawn at random: of what it retired at the target the share
that was right, the stated confidence less that, and how many they were as a share of the most that could have been: the
tasks that are 0.95 right together in order of `auto`'s calibrated confidence on all votes.

--learner: the policy with its learner, or one that suits the data, against the same without, on crowds with texts or
features; and digits, whose votes are simulated. Differences are paired by seed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from aggregation.core.cost_quality import CostQuality, cost_quality, full
from aggregation.core.policy import Policy
from aggregation.offline.backtest import run
from aggregation.offline.backtest_report import as_json
from aggregation.offline.curve_plot import standalone
from aggregation.offline.policies import policy_name, read_policy
from benchmarks import datasets

#: Policies that differ from the one measured in their order alone.
OTHERS = {
    "random": {"order": "random"},
    "uniform": {"order": "breadth_first"},
    "entropy": {"acquisition": "entropy"},
    "margin": {"acquisition": "margin"},
    "activelab": {"acquisition": "activelab"},
    "vote_entropy": {"acquisition": "vote_entropy"},
    "new_or_relabel": {"acquisition": "new_or_relabel"},
}
#: Crowds with mostly four or more votes a task, on which the mean is taken unless others are named.
STANDARD = ("bluebird", "dog", "d_possent", "barzan_tweets", "sentpol", "sp_amt", "music_genre", "leaves")
#: On larger crowds fewer replays say as much.
LARGE, FEW_SEEDS = 2_000, 5


def policies(name: str) -> dict[str, Policy]:
    """The policy measured, first, and those beside it."""
    policy = read_policy(name)
    others = {other: replace(policy, **settings) for other, settings in OTHERS.items()}
    return {policy_name(name): policy, "new_project": Policy()} | others


def crowds(options: argparse.Namespace) -> Iterator[datasets.Dataset]:
    """The crowds asked for, that have votes and gold."""
    places = [datasets.BLUEBIRD] if options.data is None else datasets.folders(options.data)
    names = options.datasets or (STANDARD if options.data else (datasets.BLUEBIRD.name,))
    missing = set(names) - {place.name for place in places}
    if missing:
        sys.exit(f"--datasets: no votes of {', '.join(sorted(missing))} in {options.data}")
    for place in places:
        if place.name in names:
            yield datasets.load(place)


def seeds_for(data: datasets.Dataset, seeds: int) -> range:
    return range(min(seeds, FEW_SEEDS) if data.votes.n_tasks > LARGE else seeds)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The standard comparison, as `manage.py backtest --json` writes it."""
    found: dict[str, dict[str, Any]] = {}
    for data in crowds(options):
        bars = full(data.votes, data.gold)
        found[data.name], curves = {}, dict[Policy, CostQuality]()
        for name, policy in policies(options.policy).items():
            if options.only and name not in options.only:
                continue
            if policy not in curves:
                replays = list(run(data.votes, data.gold, policy, seeds_for(data, options.seeds), name=data.name))
                curves[policy] = cost_quality(replays, data.votes, data.gold, bars)
            curve = curves[policy]
            found[data.name][name] = curve.as_json()
            shown = f"{curve.votes_to_majority:>9.2f}{curve.votes_to_full:>9.2f}{curve.votes_used:>9.2f}"
            print(f"{data.name:<16}{name:<12}{shown}", file=sys.stderr, flush=True)
    return as_json(found)


def tables(report: dict[str, Any]) -> Iterator[str]:
    """The shares of the votes that are needed, by crowd and policy."""
    names = list(report["mean"])
    for key in ("votes_to_majority", "votes_to_full"):
        yield f"\n{key:<20}" + "".join(f"{name:>12}" for name in names)
        for crowd, row in [*report["datasets"].items(), ("mean", report["mean"])]:
            yield f"{crowd:<20}" + "".join(f"{row[name][key]:>12.2f}" for name in names)


def plot(report: dict[str, Any]) -> str:
    """The mean curves as SVG, of policies that differ."""
    lines: list[tuple[str, Any]] = []
    for name, figures in report["mean"].items():
        columns = {key: np.array([point[key] for point in figures["curve"]]) for key in figures["curve"][0]}
        if not any(np.array_equal(columns["accuracy"], other.accuracy) for _, other in lines):
            lines.append((name, SimpleNamespace(share=columns.pop("votes_share"), **columns)))
    return standalone(lines)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    place = os.environ.get("CROWD_DATASETS")
    parser.add_argument("--data", type=Path, default=Path(place) if place else None, metavar="DIR")
    parser.add_argument("--datasets", type=lambda names: names.split(","), metavar="A,B", help="default: eight crowds")
    parser.add_argument("--seeds", type=int, default=20, help=f"replays; at most {FEW_SEEDS} on large crowds")
    parser.add_argument("--policy", default="default", metavar="FILE", help='"default" or a YAML file')
    parser.add_argument("--only", type=lambda names: names.split(","), metavar="A,B", help="these policies alone")
    parser.add_argument("--stopping", action="store_true", help="measure the stopping rule instead")
    parser.add_argument("--learner", action="store_true", help="measure a learner's gain instead")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured to a file")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the mean curves as SVG")
    return parser.parse_args(given)


def main() -> None:
    options = arguments()
    if options.stopping or options.learner:
        from benchmarks import loop_more

        report = (loop_more.stopping if options.stopping else loop_more.learner)(options)
        print(json.dumps(report, indent=2))
    else:
        report = measure(options)
        print("\n".join(tables(report)))
        if options.plot:
            options.plot.write_text(plot(report), encoding="utf-8")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
