"""Certificates: what an audit proves about a named, frozen set of consensus labels.

The bound and its proof are those of `aggregation.core.bounds`; here is what it is about. Labels go on changing while
they are audited. Let C of the N frozen labels be right and the bound say C >= L. If then some labels leave the set, x
of them not known to be wrong, at least L - x of those still held are right: however it was chosen what leaves, and so
also if the audits themselves, as gold of the next run, have changed it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregation.core.bounds import Betting, Bools, Ids, check_share, refuse
from aggregation.core.votes import Floats, Ints


@dataclass(frozen=True, eq=False)
class FrozenLabels:
    """The N labels a certificate is about: those that a run gave to the tasks chosen by a rule.

    run, rule: their names, e.g. "run 28" and "confidence >= 0.95".
    task: int[N], identifiers, each once. label: int[N], >= 0. Frozen means: chosen before the first draw, so that
    neither the rule nor the labels have seen an audit. Raises ValueError naming the field and the first bad row.
    """

    run: str
    rule: str
    task: Ids
    label: Ints

    def __post_init__(self) -> None:
        for name in ("run", "rule"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name} is empty; a certificate must name the labels it is about")
        _check_integers("task", self.task)
        _check_integers("label", self.label, like=self.task, lowest=0)
        if not len(self.task):
            raise ValueError("task has no rows; there is nothing to certify")
        _check_once(self.task, "the frozen set")


@dataclass(frozen=True, eq=False)
class Audits:
    """n audits, one per row, in the order drawn, not in the order answered.

    task: int[n], each once. truth: int[n], -1 while it is unknown, or if no label is right: then the audit counts as
    wrong.
    probability, least: f8[n] in (0, 1], as `draw_audits` gives them: the chance that the task had at its draw, and the
    smallest chance of any task of the set that remained. Both None if every draw was even. Only their ratio counts, so
    audits drawn from more than the frozen set, and cut down to it, may keep theirs.

    Raises ValueError naming the field and the first bad row.
    """

    task: Ids
    truth: Ints
    probability: Floats | None = None
    least: Floats | None = None

    def __post_init__(self) -> None:
        _check_integers("task", self.task)
        _check_integers("truth", self.truth, like=self.task, lowest=-1)
        _check_once(self.task, "the audits")
        if (self.probability is None) != (self.least is None):
            raise ValueError("probability and least belong together; give both, or neither for even draws")
        if self.probability is not None and self.least is not None:
            check_share("probability", self.probability, len(self.task))
            check_share("least", self.least, len(self.task))
            refuse("least", self.least, self.least > self.probability, "at most the task's own probability")

    @property
    def share(self) -> Floats:
        """For how much of an even draw each audit counts, f8[n] in (0, 1]."""
        if self.probability is None or self.least is None:
            return np.ones(len(self.task))
        return self.least / self.probability


@dataclass(frozen=True)
class Certificate:
    """With confidence 1 - alpha, at all looks together, at least `bound` of the labels still held are right.

    run, rule: the frozen set. tasks: how many of its labels are still held. left: how many are not.
    audits, right: how many labels were audited, and found right, among those that left too.
    bound, estimate: shares of the labels still held, 0..1; the estimate is None without audits.
    """

    run: str
    rule: str
    alpha: float
    tasks: int
    left: int
    audits: int
    right: int
    bound: float
    estimate: float | None


def certify(frozen: FrozenLabels, audits: Audits, current: Ints | None = None, alpha: float = 0.05) -> Certificate:
    """What the audits, so far, certify about the frozen labels that are still held.

    current: int[N], today's label of each frozen task, -1 if it has none; None if nothing has changed. A label that is
    no longer the frozen one leaves the set; to be certified it has to be frozen and audited anew. An audit scores the
    frozen label, also when its own truth has since replaced it: otherwise errors would vanish by being found. Labels
    may leave for any reason, the audits included, because the worst is assumed: those not known to be wrong were right.

    Raises ValueError for an audit outside the set, an alpha outside (0, 1), or if no label is still held.
    """
    row = _rows(audits.task, frozen.task)
    right = audits.truth == frozen.label[row]
    held = np.ones(len(frozen.task), np.bool_) if current is None else _held(frozen, current)
    lost = ~held
    lost[row] &= right | (audits.truth < 0)
    fewest = Betting(right, audits.share, len(frozen.task), alpha).fewest_right() - _count(lost)
    return Certificate(
        run=frozen.run,
        rule=frozen.rule,
        alpha=alpha,
        tasks=_count(held),
        left=_count(~held),
        audits=len(row),
        right=_count(right),
        bound=max(fewest, _count(right & held[row])) / _count(held),
        estimate=_estimate(row, right, audits.share, held) if len(row) else None,
    )


def _rows(task: Ids, frozen: Ids) -> Ids:
    """Where each audited task stands in the frozen set."""
    order = np.argsort(frozen, kind="stable")
    row: Ids = order[np.searchsorted(frozen, task, sorter=order).clip(max=len(frozen) - 1)]
    refuse("task", task, frozen[row] != task, "a task of the frozen set")
    return row


def _estimate(row: Ids, right: Bools, share: Floats, held: Bools) -> float:
    """Share right of the labels held: those audited as found, all others by what the audits say of them.

    Each draw estimates how many of the N labels are right: those seen before, and of the R that remain the share that
    it found, 0 or 1 (Des Raj: Some Estimators in Sampling with Varying Probabilities without Replacement, Journal of
    the American Statistical Association 51(274), 1956). With weights in proportion
    to share / (R * (R - 1)), even draws give the plain share of right audits, in whatever order they came.
    """
    n, tasks = len(row), len(held)
    chance = np.zeros(tasks)
    if n < tasks:
        remaining = tasks - np.arange(n)
        drawn = right.cumsum() - right + remaining * right
        total = np.average(drawn, weights=share / (remaining * (remaining - 1.0)))
        chance[:] = np.clip((total - _count(right)) / (tasks - n), 0.0, 1.0)
    chance[row] = right
    return float(chance[held].mean())


def _held(frozen: FrozenLabels, current: Ints) -> Bools:
    _check_integers("current", current, like=frozen.task, lowest=-1)
    held: Bools = current == frozen.label
    if not held.any():
        raise ValueError(f"no label of {frozen.run}, {frozen.rule}, is still held; freeze and audit the new ones")
    return held


def _count(which: Bools) -> int:
    return int(np.count_nonzero(which))


def _check_integers(
    field: str, values: NDArray[np.signedinteger], like: Ids | None = None, lowest: int | None = None
) -> None:
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"{field} must be one-dimensional integers, not {values.ndim}-dimensional {values.dtype}")
    if like is not None and len(values) != len(like):
        raise ValueError(f"{field} has {len(values)} rows, task has {len(like)}")
    if lowest is not None:
        refuse(field, values, values < lowest, f"{lowest} or more")


def _check_once(task: Ids, where: str) -> None:
    again = np.ones(len(task), np.bool_)
    again[np.unique(task, return_index=True)[1]] = False
    refuse("task", task, again, f"each task once in {where}")
