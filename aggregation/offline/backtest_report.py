"""A backtest as plain data, and as lines in a terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

from aggregation.core.cost_quality import CostQuality, cost_of
from aggregation.offline.backtest import Backtest, Backtested

#: Steps of the curve that a terminal shows.
SHOWN = 10


def write_json(found: Backtested, file: BinaryIO) -> None:
    """Write `as_json`."""
    crowd = {each.name: each.curve.as_json() for each in found.results}
    file.write(json.dumps(as_json({found.dataset: crowd}), indent=2).encode() + b"\n")


def as_json(datasets: dict[str, dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """The policies' figures by dataset, and their means over the datasets that all have them."""
    policies = dict.fromkeys(name for crowd in datasets.values() for name in crowd)
    means = {name: _mean([crowd[name] for crowd in datasets.values() if name in crowd]) for name in policies}
    return {"datasets": datasets, "mean": means}


def _mean(crowds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    def mean(values: Sequence[float | None]) -> float | None:
        defined = [value for value in values if value is not None]
        return float(np.mean(defined)) if defined else None

    steps = zip(*(each["curve"] for each in crowds), strict=True)
    curve = [{key: mean([point[key] for point in step]) for key in step[0]} for step in steps]
    return {"curve": curve} | {key: mean([each[key] for each in crowds]) for key in crowds[0] if key != "curve"}


def summary(found: Backtested, reach: Sequence[float], written: Sequence[str]) -> str:
    """What was found, as some lines of text."""
    votes, first = found.crowd.votes, found.results[0].curve
    lines = [
        f"{len(votes):,} recorded votes on {votes.n_tasks:,} tasks, replayed {found.seeds} times by each policy",
        f"all votes: majority vote {found.bars.majority:.3f}, auto {found.bars.model:.3f} right",
    ]
    if not found.gold:
        lines.append("Without --gold nobody knows what is right: scored by the consensus of all recorded votes.")
    steps = np.linspace(0, len(first.share) - 1, SHOWN + 1).astype(int)[1:]
    lines += ["", _row("share of votes", [f"{first.share[step]:.0%}" for step in steps])]
    for each in found.results:
        lines.append(_row(each.name, [f"{each.curve.accuracy[step]:.3f}" for step in steps]))
        if found.seeds > 1:
            lines.append(_row("", [f"±{(each.curve.high[step] - each.curve.low[step]) / 2:.3f}" for step in steps]))
    wanted = ["majority", "auto - .005", *(f"{target:.3g}" for target in reach)]
    lines += ["", _row("votes to reach", wanted)]
    lines += [_row(each.name, reached(each.curve, reach)) for each in found.results]
    lines += ["", *(_retired(each) for each in found.results)]
    return "\n".join([*lines, *(f"Wrote {name}" for name in written)])


def reached(curve: CostQuality, reach: Sequence[float]) -> list[str]:
    """The share of votes after which accuracy stays at each target."""
    shares = [curve.votes_to_majority, curve.votes_to_full]
    return [f"{share:.0%}" if share < 1.0 else "never" for share in shares] + [
        "never" if share is None else f"{share:.0%}" for share in (cost_of(curve, target) for target in reach)
    ]


def retired(each: Backtest) -> str:
    """What became of the tasks that the policy stopped early, or left to experts, or the machine labelled alone."""
    return _stopped(each) + _left_to_experts(each) + _labelled_alone(each)


def _left_to_experts(each: Backtest) -> str:
    if each.policy.flag_below is None:
        return ""
    curve, below = each.curve, each.policy.flag_below
    return f"; {curve.disputed_share:.0%} of all tasks stayed below {below:g} with all their votes, for an expert"


def _labelled_alone(each: Backtest) -> str:
    alone, error = each.curve.alone, each.policy.auto_label_error
    if alone is None or error is None:
        return ""
    if alone.wrong is None:
        return f"; {alone.audits:.0f} audits certified nothing, so the machine labelled no task alone"
    return (
        f"; the machine labelled {alone.share:.0%} of the tasks alone on {alone.audits:.0f} audits, {alone.wrong:.1%} "
        f"of them wrongly and never more than {alone.worst:.1%} (allowed: {error:.1%})"
    )


def _stopped(each: Backtest) -> str:
    curve, target = each.curve, each.policy.target_confidence
    if target is None:
        return "no target: tasks go on as long as there are votes"
    if curve.retired_accuracy is None:
        return f"no task reached {target:g}"
    return (
        f"{curve.retired_share:.0%} of the tasks retired at {target:g} with {curve.votes_used:.0%} of the votes; "
        f"{1 - curve.retired_accuracy:.1%} of them wrongly"
    )


def _retired(each: Backtest) -> str:
    return f"{each.name}: {retired(each)}"


def _row(name: str, cells: Sequence[str]) -> str:
    return f"{name[:20]:<20}" + "".join(f"{cell:>12}" if len(cell) > 8 else f"{cell:>9}" for cell in cells)
