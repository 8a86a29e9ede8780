"""What several replays of a policy cost, and how good they were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aggregation.core.calibration_report import rightness
from aggregation.core.fit import Fit
from aggregation.core.label_models import DEFAULT_LABEL_MODEL, LABEL_MODELS
from aggregation.core.replay import Replayed
from aggregation.core.votes import Floats, Ints, Votes

#: The band holds this share of the replays.
BAND = 0.9
#: Full accuracy counts as reached at so much less.
NEARLY = 0.005
#: Accuracies that differ by no more are equal but for rounding.
TIE = 1e-12


@dataclass(frozen=True, eq=False)
class Full:
    """How right all recorded votes are on each task, f8[T] in 0..1, ties at their expectation; NaN: truth unknown.

    by_majority: majority vote. by_model: the default label model. As numbers, `majority` and `model` are the means.
    """

    by_majority: Floats
    by_model: Floats

    @property
    def majority(self) -> float:
        return float(np.nanmean(self.by_majority))

    @property
    def model(self) -> float:
        return float(np.nanmean(self.by_model))


def full(votes: Votes, truth: Ints) -> Full:
    """truth: int32[T], -1 where unknown; at least one is known."""
    known = np.flatnonzero(truth >= 0)

    def right(fit: Fit) -> Floats:
        each = np.full(len(truth), np.nan)
        each[known] = rightness(fit.posterior[known], truth[known])
        return each

    return Full(right(LABEL_MODELS["majority_vote"](votes)), right(LABEL_MODELS[DEFAULT_LABEL_MODEL](votes)))


@dataclass(frozen=True)
class Alone:
    """What the machine labelled alone in the end.

    share: of all tasks, 0..1. wrong: of those with known truth, 0..1; None if there are none. worst: the largest share
    wrong at any look of any replay. audits: how many tasks."""

    share: float
    wrong: float | None
    worst: float
    audits: float


@dataclass(frozen=True, eq=False)
class CostQuality:
    """share: f8[M] of the recorded votes. accuracy, low, high: f8[M], the mean of the replays and the bounds between
    which BAND of them lie. majority, model: what all votes give on the very tasks that each replay was scored by.
    votes_to_majority, votes_to_full: see `votes_to`. votes_used: the share of votes spent in
    the end. retired_accuracy: of the tasks whose confidence reached the target, the share that was right, of those with
    known truth that the policy did not know; retired_confidence: what it stated of them; retired_share: how many they
    were of all such tasks. The first two are None where there are none. disputed_share: of all tasks those that ended
    as an expert's. alone: None where the machine was never to
    label alone."""

    share: Floats
    accuracy: Floats
    low: Floats
    high: Floats
    majority: float
    model: float
    votes_to_majority: float
    votes_to_full: float
    votes_used: float
    retired_accuracy: float | None
    retired_confidence: float | None
    retired_share: float
    disputed_share: float = 0.0
    alone: Alone | None = None

    def as_json(self) -> dict[str, Any]:
        """The figures as plain JSON types; null where nothing retired at the target."""
        machine = {} if self.alone is None else {f"auto_{name}": value for name, value in vars(self.alone).items()}
        points = zip(self.share, self.accuracy, self.low, self.high, strict=True)
        return {
            "curve": [
                {"votes_share": round(float(at), 4), "accuracy": float(mean), "low": float(low), "high": float(high)}
                for at, mean, low, high in points
            ],
            "votes_to_majority": self.votes_to_majority,
            "votes_to_full": self.votes_to_full,
            "retired_accuracy": self.retired_accuracy,
            "retired_share": self.retired_share,
            **machine,
        }


def cost_quality(replays: Sequence[Replayed], votes: Votes, truth: Ints, bars: Full) -> CostQuality:
    """Of at least one replay of these votes."""
    share, curves = replays[0].share, np.array([each.accuracy for each in replays])
    low, high = np.quantile(curves, [(1.0 - BAND) / 2.0, (1.0 + BAND) / 2.0], axis=0)
    mean = curves.mean(axis=0)
    majority, model = (_bar(right, replays) for right in (bars.by_majority, bars.by_model))
    right, stated, scored = (np.concatenate(each) for each in zip(*(_retired(r, truth) for r in replays), strict=True))
    return CostQuality(
        share=share,
        accuracy=mean,
        low=low,
        high=high,
        majority=majority,
        model=model,
        votes_to_majority=votes_to(share, mean, majority),
        votes_to_full=votes_to(share, mean, model - NEARLY),
        votes_used=float(np.mean([len(each.revealed) for each in replays]) / max(len(votes), 1)),
        retired_accuracy=float(right.mean()) if len(right) else None,
        retired_confidence=float(stated.mean()) if len(right) else None,
        retired_share=len(right) / max(int(scored.sum()), 1),
        disputed_share=float(np.mean([each.reason == "disputed" for each in replays])),
        alone=_alone(replays, truth),
    )


def _alone(replays: Sequence[Replayed], truth: Ints) -> Alone | None:
    audits = [each.audits for each in replays if each.audits is not None]
    if not audits:
        return None
    mine = [each.reason == "auto" for each in replays]
    right = [
        rightness(r.posterior[a & (truth >= 0)], truth[a & (truth >= 0)]) for r, a in zip(replays, mine, strict=True)
    ]
    found = np.concatenate(right)
    return Alone(
        share=float(np.mean(mine)),
        wrong=1.0 - float(found.mean()) if len(found) else None,
        worst=max(each.worst for each in replays),
        audits=float(np.mean(audits)),
    )


def _bar(right: Floats, replays: Sequence[Replayed]) -> float:
    """The mean over the replays of what was right, f8[T], where the policy was not told what is."""
    return float(np.mean([np.nanmean(right[~each.known]) for each in replays]))


def cost_of(curve: CostQuality, wanted: float) -> float | None:
    """`votes_to` of the mean curve; None if it ends below what is wanted."""
    ends = float(curve.accuracy[-1])
    return None if ends < wanted - TIE else votes_to(curve.share, curve.accuracy, wanted)


def votes_to(share: Floats, accuracy: Floats, wanted: float) -> float:
    """The smallest share f8[M] of the votes after which accuracy f8[M] never again falls below what is wanted; 1 if it
    ends below."""
    below = np.flatnonzero(accuracy < wanted - TIE)
    if not len(below):
        return float(share[0])
    return float(share[min(int(below[-1]) + 1, len(share) - 1)])


def wrongly_retired(replayed: Replayed, truth: Ints) -> Ints:
    """The tasks, int32[n], that reached the target with a wrong label: of a tie not one that may be right."""
    tasks = _at_target(replayed, truth)
    return np.asarray(tasks[rightness(replayed.posterior[tasks], truth[tasks]) == 0.0])


def often_wrong(replays: Sequence[Replayed], truth: Ints, most: int) -> list[tuple[int, int]]:
    """The tasks that retired wrongly and in how many of the replays, those in most of them first; at most so many."""
    times = np.zeros(len(truth), np.int64)
    for each in replays:
        times[wrongly_retired(each, truth)] += 1
    order = np.argsort(-times, kind="stable")[:most]
    return [(int(task), int(times[task])) for task in order if times[task]]


def _retired(replayed: Replayed, truth: Ints) -> tuple[Floats, Floats, Floats]:
    """Of the tasks at the target how right each was and how sure; and of how many they could have been."""
    tasks = _at_target(replayed, truth)
    could = np.array([float(((truth >= 0) & ~replayed.known).sum())])
    return rightness(replayed.posterior[tasks], truth[tasks]), replayed.posterior[tasks].max(axis=1), could


def _at_target(replayed: Replayed, truth: Ints) -> Ints:
    return np.flatnonzero((replayed.reason == "target") & (truth >= 0) & ~replayed.known).astype(np.int32)
