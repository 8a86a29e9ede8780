"""The audits of one learner: which of them are evidence, and how many more to ask people for."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np

from aggregation.core.audit_plan import audit_goal, next_share
from aggregation.core.bounds import Bools, Ids
from aggregation.core.tiers import Evidence, ScoredAudits, ThresholdPlan
from aggregation.core.votes import Floats

#: Audits that are drawn at a time, …
AT_WORK = 50
#: … but no more than so large a part of all tasks that people have answered: what audits teaches no learner.
PART = 1 / 3
#: Behind the id of every task.
ALWAYS = 2**62


@dataclass(frozen=True, eq=False)
class Audits:
    """All n audits ever drawn, of labels that the present champion gives, by id.

    score, lot: f8[n]. right: bool[n], whether its label is known to be right. answered: bool[n], whether that is known.
    late: bool[n], waited for patiently. reviewed: bool[n], by an expert. votes: int[n]. open: bool[n], whether people
    may answer. limit: 0..1, the share of tasks of which votes alone make something else than the truth at most.
    """

    ids: Ids
    score: Floats
    lot: Floats
    right: Bools
    answered: Bools
    late: Bools
    reviewed: Bools
    votes: Ids
    open: Bools
    limit: float

    def before(self, task: int) -> Audits:
        """Those alone of tasks before this one."""
        kept = self.ids < task
        columns = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "limit"}
        return replace(self, **{name: column[kept] for name, column in columns.items()})

    @property
    def decided(self) -> Bools:
        """Answered; or passed over for long while newer ones were answered, which counts as wrong. bool[n]."""
        newest = self.ids[self.answered].max(initial=0)
        return np.asarray(self.answered | (self.late & (self.ids < newest)))

    @property
    def unproven(self) -> int:
        """How many people have answered in vain, as nobody knows how often they are right."""
        return int((~self.answered & ~self.open).sum())

    def share_of_like(self, share: Floats, plan: ThresholdPlan) -> Floats:
        """The share, of f8[G] by threshold, by which tasks are drawn that the machine is as sure of, f8[n]."""
        return share_of_like(self.score, share, plan)

    def waiting(self, share: Floats, drawn: Floats, plan: ThresholdPlan) -> Floats:
        """The lots of those drawn beyond this share that wait for people."""
        beyond = self.lot >= self.share_of_like(share, plan)
        return self.lot[~self.decided & beyond & (self.lot < self.share_of_like(drawn, plan))]

    def settled(self, share: Floats, plan: ThresholdPlan) -> int:
        """The first task that tells nothing yet, being an audit at this share that waits for people; ALWAYS if none is.

        Evidence is of tasks before it, and bounds are for these alone: its audits and labels count together, or not.
        """
        waiting = ~self.decided & (self.lot < self.share_of_like(share, plan))
        return int(self.ids[waiting].min(initial=ALWAYS))

    def counted(self, share: Floats, plan: ThresholdPlan) -> Bools:
        """Those that are evidence at this share: none is left out for what it would say, bool[n]."""
        return np.asarray((self.lot < self.share_of_like(share, plan)) & (self.ids < self.settled(share, plan)))

    def scored(self, which: Bools) -> ScoredAudits:
        return ScoredAudits(self.score[which], self.right[which], self.lot[which])

    def truth_error(self, which: Bools) -> float:
        """How often what these take to be true is not, at most: experts' answers are, whichever audits they chose."""
        by_votes = int((which & self.answered & ~self.reviewed).sum())
        return min(self.limit, by_votes / max(int(which.sum()), 1))

    def watched(self, *, after: int, threshold: float, share: float) -> tuple[Ids, Bools]:
        """Tasks that came after this one, up to the first not decided, and whether their labels were right.

        Of those drawn by the share of this threshold alone: of surer ones more may have been.
        """
        mine = (self.ids > after) & (self.score >= threshold) & (self.lot < share)
        decided = int(np.append(self.decided[mine], False).argmin())
        return self.ids[mine][:decided], self.right[mine][:decided]

    def wrong_by(self, *, newest: int, threshold: float, share: float) -> int:
        """How many of those that a certificate of this threshold was issued by say now that it is wrong."""
        mine = (self.ids <= newest) & (self.score >= threshold) & (self.lot < share) & self.decided
        return int((mine & ~self.right).sum())


def share_of_like(score: Floats, share: Floats, plan: ThresholdPlan) -> Floats:
    """The share, of f8[G] by threshold, by which tasks are drawn that the machine is as sure of, f8[n]: score."""
    return np.asarray(np.append(share, 0.0)[np.searchsorted(-plan.threshold, -score)])


class Issued(NamedTuple):
    """A certificate as it was issued: its threshold and bound, how many audits were wrong by its share, on which tasks,
    how often their truth was wrong, and what was allowed. newest: the last of these tasks."""

    threshold: float
    newest: int
    share: float
    wrong: int
    bound: float
    truth_error: float
    max_error: float


def still_certified(then: Issued, audits: Audits, truth_error: float) -> bool:
    """What was certified stays so, as bounds are for all looks, while the audits it rests on say what they did."""
    wrong = audits.wrong_by(newest=then.newest, threshold=then.threshold, share=then.share)
    return wrong <= then.wrong and then.bound + truth_error - then.truth_error <= then.max_error


@dataclass(frozen=True, eq=False)
class Progress:
    """How far a plan has been audited.

    drawn, answered: f8[G] in 0..1, not rising, the shares by which tasks at or above each threshold were drawn, and of
    which all audits are answered. tasks: int[G], those at or above each that the machine may label. voted, all: how
    many tasks people have voted on, and how many there are. most: the largest part of these that may be audits, 0..1.
    """

    drawn: Floats
    answered: Floats
    tasks: Ids
    voted: int
    all: int
    most: float


def shares_to_draw(
    audits: Audits, evidence: Evidence, plan: ThresholdPlan, so_far: Progress, certified: int, truth_error: float
) -> Floats | None:
    """The shares to draw by next, f8[G]; None while people have audits to answer, or where more would certify nothing
    more. certified: how many of the plan's thresholds are. truth_error: as in `tiers.certify`."""
    answered = so_far.answered
    if (answered < so_far.drawn).any() or (audits.votes > 0).sum() > max(AT_WORK, PART * so_far.voted):
        return None
    left = affordable(audits, plan, so_far)
    goal = audit_goal(evidence, plan, left, certified, truth_error) if left > 0 else None
    if goal is None or not evidence.tasks[goal]:
        return None
    # Evidence is of settled tasks alone, the share of all.
    part = float(evidence.tasks[goal] / max(int(so_far.tasks[goal]), 1))
    share = next_share(evidence, plan, goal, int(part * min(left, AT_WORK)))
    return share if (share > answered).any() else None


def affordable(audits: Audits, plan: ThresholdPlan, so_far: Progress) -> int:
    """How many more audits the manager allows; those answered for a learner before, and not drawn for this one, too."""
    known = audits.answered & (audits.lot >= audits.share_of_like(so_far.drawn, plan))
    return max(int(so_far.most * so_far.all) - len(audits.ids) + int(known.sum()), 0)
