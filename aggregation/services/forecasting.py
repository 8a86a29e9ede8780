"""The learning curve of a retraining, and what the next votes will buy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from aggregation.core.learning_curve import NOTHING, Gain, LearningCurve, fit_learning_curve

if TYPE_CHECKING:
    from aggregation.learners import Learner, Target

#: What a forecast is for.
NEXT_VOTES = 1000
#: Places at which the fitted curve is told.
PLACES = 25


def learning_curve(
    *,
    learner: Learner,
    payloads: Sequence[Mapping[str, Any]],
    target: Target,
    fields: Sequence[str],
    votes: int,
    seed: int,
) -> dict[str, Any]:
    """Points, curve and forecast as a run keeps them. votes: all that were given for these payloads.

    The next votes are taken to go to new tasks, each task taking as many as it does now.
    """
    points = learner.points(payloads, target, fields, seed=seed)
    a_task = votes / len(payloads)
    curve = fit_learning_curve(points.n, points.accuracy, points.error, seed=seed)
    columns = zip(points.n, points.accuracy, points.error, points.log_loss, strict=True)
    told = [
        {"tasks": int(n), "votes": round(n * a_task), "accuracy": accuracy, "error": error, "log_loss": loss}
        for n, accuracy, error, loss in columns
    ]
    if curve is None:
        says = "Too few tasks have votes to tell what more will buy."
        return {"points": told, "curve": [], "forecast": None, "stop": False, "says": says}
    gain = curve.gain(len(payloads), NEXT_VOTES / a_task)
    return {
        "points": told,
        "curve": _told(curve, points.n[0], 2 * len(payloads), a_task),
        "forecast": {"votes": NEXT_VOTES, "gain": gain.expected, "low": gain.low, "high": gain.high},
        "stop": gain.nothing,
        "says": in_words(gain),
    }


def in_words(gain: Gain) -> str:
    if gain.nothing:
        least = f"less than {100 * NOTHING:.1f} points"
        return f"Stop labelling for the learner now: the next {NEXT_VOTES:,} votes buy {least}."
    return (
        f"The next {NEXT_VOTES:,} votes buy {100 * gain.expected:+.1f} points of accuracy "
        f"({100 * gain.low:+.1f} to {100 * gain.high:+.1f})."
    )


def _told(curve: LearningCurve, first: float, last: float, a_task: float) -> list[dict[str, float]]:
    n = np.geomspace(first, last, PLACES)
    return [
        {"votes": round(size * a_task), "accuracy": accuracy, "low": low, "high": high}
        for size, accuracy, low, high in zip(n.tolist(), *(each.tolist() for each in curve.accuracy(n)), strict=True)
    ]
