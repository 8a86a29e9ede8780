"""What people found out about a project's machine: the evidence of a certificate, and what is to be audited next."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import timedelta

import numpy as np
from django.db import connection, transaction
from numpy.typing import NDArray

from aggregation import tier_queries
from aggregation.core.tiers import ScoredAudits, ThresholdPlan
from aggregation.core.votes import Floats
from aggregation.services.alone import ALWAYS
from aggregation.services.scoring import Part
from projects.models import AUDIT_PRIORITY, Project
from projects.queries import fetch
from projects.services.live_model import live_model
from projects.services.recompute import reading, summarise_rows

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: Audits whose votes are read at a time.
FEW = 1000
#: An audit may wait so long for people, while they answer newer ones, before it counts as wrong.
PATIENCE = timedelta(days=1)


@dataclass(frozen=True, eq=False)
class Audits:
    """All n audits ever drawn, of labels that the present champion gives, by id.

    score, lot: f8[n]. right: bool[n], whether its label is known to be right. answered: bool[n], whether that is known.
    late: bool[n], waited for patiently. doubt: f8[n], the chance that the truth taken is another. reviewed: bool[n], by
    an expert. votes: int[n]. open: bool[n], whether people may answer.
    """

    ids: Ints
    score: Floats
    lot: Floats
    right: Bools
    answered: Bools
    late: Bools
    doubt: Floats
    reviewed: Bools
    votes: Ints
    open: Bools

    def before(self, task: int) -> Audits:
        """Those alone of tasks before this one."""
        kept = self.ids < task
        return replace(self, **{each.name: getattr(self, each.name)[kept] for each in fields(self)})

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
        return np.append(share, 0.0)[np.searchsorted(-plan.threshold, -self.score)]

    def waiting(self, share: Floats, drawn: Floats, plan: ThresholdPlan) -> Floats:
        """The lots of those drawn beyond this share that nobody has answered."""
        beyond = self.lot >= self.share_of_like(share, plan)
        return self.lot[~self.answered & beyond & (self.lot < self.share_of_like(drawn, plan))]

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
        """How often what these take to be true is not."""
        return float(self.doubt[which].sum() / max(int(which.sum()), 1))

    def watched(self, *, after: int, threshold: float, share: float) -> tuple[Ints, Bools]:
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


def read_audits(part: Part) -> Audits:
    """Truth is an expert's answer, or else what people's votes alone make of the task, as far as gold has shown how
    often that is right."""
    rows = fetch(tier_queries.AUDITS, patience=PATIENCE, **part.asked)
    ids, score, label, lot, late, votes, retired, known = zip(*rows, strict=True) if rows else ((),) * 8
    reasons = np.array([reason or "" for reason in retired], dtype=np.str_)
    reviewed, is_open, broken = np.array(known, np.int64) >= 0, reasons == "", reasons == "flagged"
    by_votes = np.asarray(~reviewed & ~is_open & ~broken & (np.array(votes, np.int64) > 0))
    truth, doubt = _truth(part.project, np.array(ids, np.int64), np.array(known, np.int64), by_votes)
    return Audits(
        ids=np.array(ids, np.int64),
        score=np.array(score, np.float64),
        lot=np.array(lot, np.float64),
        right=(truth == np.array(label, np.int64)) & (truth >= 0),
        answered=np.asarray((truth >= 0) | broken),
        late=np.array(late, np.bool_),
        doubt=doubt,
        reviewed=reviewed,
        votes=np.array(votes, np.int64),
        open=is_open,
    )


def _truth(project: Project, ids: Ints, known: Ints, by_votes: Bools) -> tuple[Ints, Floats]:
    """The true label of these tasks, int[n], -1 where it is not known; and the chance that it is another, f8[n]."""
    truth, doubt = known.copy(), np.zeros(len(ids))
    calibrated = live_model(project_id=project.id).calibration is not None
    rows = np.flatnonzero(by_votes) if calibrated else np.empty(0, np.int64)
    for start in range(0, len(rows), FEW):
        some = rows[start : start + FEW]
        label, confidence = consensus_of_votes(project, ids[some])
        truth[some], doubt[some] = label, 1.0 - confidence
    return truth, doubt


def consensus_of_votes(project: Project, task_ids: Ints) -> tuple[Ints, Floats]:
    """What people's votes alone make of tasks, int64[n] and f8[n]: the machine has no part in it."""
    with transaction.atomic(), connection.cursor() as cursor:
        # One snapshot: votes and live model belong together, so that they are not read again with predictions.
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        rows = fetch(reading(project), tasks=task_ids.tolist())
        found, _ = summarise_rows(project=project, rows=[(*row[:5], None, *row[6:]) for row in rows])
    place = {id_: row for row, id_ in enumerate(found.ids)}
    order = [place[id_] for id_ in task_ids.tolist()]
    return found.label[order].astype(np.int64), found.confidence[order]


def ask(audits: Audits) -> int:
    """Put all that wait for people before other tasks: how many."""
    wanted = audits.ids[audits.open]
    fetch(tier_queries.ASK_AUDITS, tasks=wanted.tolist(), priority=AUDIT_PRIORITY)
    return len(wanted)
