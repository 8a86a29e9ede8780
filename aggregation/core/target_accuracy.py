"""Whether the labels of all of a project's tasks are as right as they have to be, by audits; and how many are missing.

At some moment the labels of all tasks are frozen whose answer is not known, and audits of them are drawn. Later some
frozen labels have been replaced, and more answers are known: those of the audits, for one. Of the T tasks those are
right whose answer is known, K of them. Of the frozen labels at least L were right when they were frozen, by
`aggregation.core.bounds`, whatever has become of them since; those that have left without being known to be wrong are
taken off (`aggregation.core.certificate`). So of all tasks at least

    (K + L - those that have left) / T

have a right label now: tasks without a label, and labels that are newer than the frozen ones, count as wrong. Known
answers are right by definition, those that audits found included; what an audit says of the others rests on the frozen
label alone, so that no error vanishes by being found.

Whoever freezes again begins a sequence of audits of its own: `tiers.alpha_of` gives each its part of alpha.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aggregation.core.bounds import Betting, Bools
from aggregation.core.certificate import Audits, FrozenLabels, certify

#: A forecast looks so many audits ahead at most.
MOST_AHEAD = 5_000
#: How exactly the accuracy is found that so many audits certify.
STEPS = 12
#: The normal deviate that leaves out five per cent on either side.
DEVIATE = 1.645


@dataclass(frozen=True)
class Whole:
    """What is known of all T tasks beside the frozen labels.

    tasks: T >= 1. known: of them, those whose answer is known by now, in the frozen set or not.
    """

    tasks: int
    known: int

    def missing(self, target: float) -> int:
        """How many labels beside the known answers have to be right for this share of all tasks, 0..1."""
        return int(np.ceil(target * self.tasks - 1e-9)) - self.known

    def ahead(self, target: float, alpha: float) -> Ahead:
        """What would be missing if the labels of all tasks whose answer is not known were frozen now."""
        return Ahead(np.empty(0, np.bool_), max(self.tasks - self.known, 1), self.missing(target), alpha)


@dataclass(frozen=True)
class CertifiedAccuracy:
    """With confidence 1 - alpha, at all looks together, at least `bound` of all tasks have a right label.

    bound: 0..1. audits, right: labels audited, and found right as they were frozen. held: frozen labels that are still
    in force and not known. left: the others.
    """

    bound: float
    audits: int
    right: int
    held: int
    left: int


@dataclass(frozen=True, eq=False)
class AuditedWhole:
    """A project in the middle of its audits.

    frozen: N labels, of tasks whose answer was not known. audits: of them, so far, drawn evenly. current: int[N],
    today's label of each, -1 if it has none. known: bool[N], those whose answer is known by now. alpha: in (0, 1).
    """

    frozen: FrozenLabels
    audits: Audits
    current: NDArray[np.signedinteger]
    known: Bools
    whole: Whole
    alpha: float

    @cached_property
    def held(self) -> Bools:
        """The frozen labels that are still in force, and not known to be right or wrong, bool[N]."""
        return np.asarray((self.current == self.frozen.label) & ~self.known)

    @cached_property
    def right(self) -> Bools:
        """Whether each audited label was right as it was frozen, bool[n]."""
        order = np.argsort(self.frozen.task, kind="stable")
        row = order[np.searchsorted(self.frozen.task, self.audits.task, sorter=order)]
        return np.asarray(self.frozen.label[row] == self.audits.truth)

    def certified(self) -> CertifiedAccuracy:
        """What the audits certify about all tasks. Raises ValueError for an audit outside the frozen set."""
        held, right = int(self.held.sum()), 0
        if held:
            now = np.where(self.held, self.frozen.label, -1).astype(self.frozen.label.dtype)
            found = certify(self.frozen, self.audits, now, self.alpha)
            right = round(found.bound * found.tasks)
        return CertifiedAccuracy(
            bound=(right + self.whole.known) / self.whole.tasks,
            audits=len(self.right),
            right=int(self.right.sum()),
            held=held,
            left=len(self.held) - held,
        )

    def ahead(self, target: float) -> Ahead:
        """What is missing until at least this share of all tasks is certified, 0..1."""
        known_wrong = int((~self.right & (self.audits.truth >= 0)).sum())
        left = int((~self.held).sum()) - known_wrong
        return Ahead(self.right, len(self.held), self.whole.missing(target) + left, self.alpha)


@dataclass(frozen=True, eq=False)
class Ahead:
    """Where a sequence of even audits stands, to look ahead from.

    right: bool[n], whether each label audited so far was right. labels: N >= 1, how many were frozen. missing: how many
    of these have to be proven right (what is known otherwise and what has left is worked in). alpha: in (0, 1).
    """

    right: Bools
    labels: int
    missing: int
    alpha: float

    def audits_needed(self, accuracy: float, most: int) -> int | None:
        """About how many more, at most so many, if this share 0..1 of the labels yet to be audited is right.

        None if they don't do. Audits go on as they are expected to, with the wrong ones evenly between, so that about
        one campaign in two takes fewer. A label found wrong is known from then on and needs no proof.
        """
        most = self._most(most)
        if not self.enough(most, accuracy):
            return None
        return bisect_left(range(most), True, key=lambda audits: self.enough(audits, accuracy))

    def aim(self, most: int) -> float | None:
        """How large a share of the labels has to seem right before experts are asked: so large that so many audits are
        likely to do. None: not even all would do."""
        if not self.enough(most, 1.0):
            return None
        low, high = 0.0, 1.0
        for _ in range(STEPS):
            middle = (low + high) / 2.0
            low, high = (low, middle) if self.enough(most, middle) else (middle, high)
        return high

    def enough(self, audits: int, accuracy: float) -> bool:
        """Whether so many more audits are likely to do, with this share 0..1 of what they find right."""
        foreseen = np.diff(np.floor(accuracy * np.arange(self._most(audits) + 1) + 0.5)) > 0
        right = np.concatenate([self.right, foreseen])
        missing = self.missing - int((~foreseen).sum())
        if missing <= 0:
            return True
        if not len(right) or missing > self.labels - int((~right).sum()):
            return False
        return Betting(right, np.ones(len(right)), self.labels, self.alpha).refuted_at(missing - 1) < len(right)

    def _most(self, audits: int) -> int:
        return max(min(audits, self.labels - len(self.right), MOST_AHEAD), 0)

    @property
    def out_of_reach(self) -> bool:
        """Even if every label that was not found wrong were right."""
        return self.missing > self.labels - int((~self.right).sum())

    def leads_nowhere(self, most: int) -> bool:
        """At most so many more audits are not likely to do, even if labels are as right as those audited may let on."""
        return self.out_of_reach or most <= 0 or (len(self.right) > 0 and not self.enough(most, self.seen()[2]))

    def seen(self) -> tuple[float, float, float]:
        """The share right of the labels audited, and a 90 % interval of that of all, as if two more had been right and
        two wrong (Agresti and Coull 1998, doi:10.1080/00031305.1998.10480550)."""
        n = len(self.right) + 4
        share = float(self.right.sum() + 2) / n
        off = DEVIATE * float(np.sqrt(share * (1.0 - share) / n))
        return share, max(share - off, 0.0), min(share + off, 1.0)
