"""What more votes will make of the labels of all tasks: a forecast from the votes there are.

How right labels of fewer votes would be is seen by leaving votes out: each task keeps a share of its own, at least one,
drawn at random; the label model is fitted to them, and its labels are judged by how probable today's posterior, which
knows all votes, finds them. The curve a - b x^-c through these points (`learning_curve`), x being votes a task, is
followed to more votes than there are, on from today's accuracy.

New votes go first to tasks without a label, until each of them has as many as others have, and then evenly to all that
are not settled. That is how an order by uncertainty begins; what it saves later by asking most about hard tasks the
forecast leaves out, so that it is rather too careful.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aggregation.core.learning_curve import DRAWS, TAIL, LearningCurve, fit_learning_curve
from aggregation.core.votes import Floats, Votes

#: Shares of each task's votes that are kept.
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
#: So few tasks tell nothing.
FEWEST_TASKS = 20
#: Places at which a forecast is told.
PLACES = 40


@dataclass(frozen=True, eq=False)
class Thinned:
    """Labels of fewer votes: votes a task f8[m], the share of labels that is right 0..1, f8[m], as today's posterior
    has it, and the standard error of its distance from the last one, f8[m]. The last row is of all votes."""

    votes: Floats
    accuracy: Floats
    error: Floats


def thinned(votes: Votes, believed: Floats, posterior_of: Callable[[Votes], Floats], seed: int) -> Thinned | None:
    """How right labels of fewer votes are. believed: f8[T, K], today's posterior, calibrated.

    posterior_of: the label model's posterior f8[T, K] of some of the votes. None if fewer than FEWEST_TASKS tasks have
    two votes.
    """
    many = np.bincount(votes.task, minlength=votes.n_tasks)
    voted = np.flatnonzero(many)
    if (many > 1).sum() < FEWEST_TASKS:
        return None
    random = np.random.default_rng(seed)
    order = np.lexsort((random.random(len(votes)), votes.task))
    place = np.empty(len(votes), np.int64)
    place[order] = np.arange(len(votes)) - np.searchsorted(votes.task[order], votes.task[order])
    luck = random.random(votes.n_tasks)  # the same task keeps more votes at a larger share
    right, kept = [], []
    for share in SHARES:
        keeps = 1.0 + np.floor(share * (many - 1) + luck) if share < 1.0 else many
        some = votes.those(place < keeps[votes.task])
        label = posterior_of(some)[voted].argmax(axis=1)
        right.append(believed[voted, label])
        kept.append(len(some) / len(voted))
    rows = np.array(right)
    error = (rows - rows[-1]).std(axis=1) / np.sqrt(len(voted))
    return Thinned(np.array(kept), rows.mean(axis=1), error)


@dataclass(frozen=True)
class Now:
    """Where a project stands. Numbers of tasks, the three together all of them; accuracy 0..1.

    voted: whose label stands on votes. settled: whose label no vote will change, known or the machine's. unlabelled.
    accuracy: the expected share of the labels of voted and settled tasks together that is right; error: its standard
    error, None if confidence is uncalibrated. votes: all counted ones. room: how many more the tasks' redundancy lets.
    """

    voted: int
    settled: int
    unlabelled: int
    accuracy: float
    error: float | None
    votes: int
    room: int

    @property
    def tasks(self) -> int:
        return self.voted + self.settled + self.unlabelled

    @property
    def overall(self) -> float:
        """The expected share of all tasks whose label is right; one without a label is not."""
        return self.accuracy * (self.voted + self.settled) / max(self.tasks, 1)

    @property
    def spread(self) -> float:
        """The standard error of that; 0 if it is not known."""
        return (self.error or 0.0) * (self.voted + self.settled) / max(self.tasks, 1)


@dataclass(frozen=True, eq=False)
class VoteForecast:
    """Accuracy of all tasks after 0..room more votes, f8[PLACES] each: expected, and its 90 % band."""

    more: Floats
    accuracy: Floats
    low: Floats
    high: Floats
    drawn: Floats  # f8[DRAWS, PLACES], curves as they may be

    def at(self, more: float) -> tuple[float, float, float]:
        """After so many more votes, or as many as there is room for: expected, and the band's ends."""
        expected, low, high = (float(np.interp(more, self.more, each)) for each in (self.accuracy, self.low, self.high))
        return expected, low, high

    def votes_for(self, wanted: float) -> tuple[int | None, int | None, int | None]:
        """How many more votes until accuracy is this: expected, and the 90 % band's ends.

        None: it is not reached with all votes that there is room for.
        """
        crossed = np.sort([_crossing(self.more, each, wanted) for each in self.drawn])
        low, high = crossed[int(TAIL * len(crossed))], crossed[int((1.0 - TAIL) * len(crossed))]
        return _whole(_crossing(self.more, self.accuracy, wanted)), _whole(low), _whole(high)


def _crossing(more: Floats, accuracy: Floats, wanted: float) -> float:
    """The first number of votes with which the accuracy is reached, inf if it never is; between places on a line."""
    reached = np.flatnonzero(accuracy >= wanted)
    if not len(reached):
        return np.inf
    at = int(reached[0])
    if not at:
        return 0.0
    part = (wanted - accuracy[at - 1]) / (accuracy[at] - accuracy[at - 1])
    return float(more[at - 1] + part * (more[at] - more[at - 1]))


def _whole(votes: float) -> int | None:
    return int(np.ceil(votes)) if np.isfinite(votes) else None


def forecast(points: Thinned | None, now: Now, seed: int) -> VoteForecast | None:
    """None while too few tasks have several votes to tell what more of them buy, or none has one."""
    curve = None if points is None else fit_learning_curve(points.votes, points.accuracy, points.error, seed)
    if curve is None or points is None or not now.voted:
        return None
    more = np.linspace(0.0, now.room, PLACES)
    gained = _curves(curve, points.votes[-1], now, more)
    off = np.random.default_rng(seed + 1).normal(0.0, now.spread, DRAWS)[:, None]
    drawn = np.clip(gained[1:] + off, 0.0, 1.0)
    low, high = np.quantile(drawn, [TAIL, 1.0 - TAIL], axis=0)
    return VoteForecast(more, np.clip(gained[0], 0.0, 1.0), low, high, drawn)


def _curves(curve: LearningCurve, a_task: float, now: Now, more: Floats) -> Floats:
    """Accuracy of all tasks after more votes f8[M], by each of the fitted curves, f8[1 + DRAWS, M]."""
    covered = np.minimum(now.unlabelled, more / a_task)
    voted = now.voted + covered
    x = a_task + (more - covered * a_task) / voted
    a, b, c = (each[:, None] for each in (curve.a, curve.b, curve.c))
    gain = b * (a_task**-c - x**-c)
    share = now.accuracy * (now.voted + now.settled) + voted * gain + covered * now.accuracy
    return np.asarray(share / now.tasks)
