"""What a project's machine says of its tasks, and what people found out about it: the evidence of a certificate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any

import numpy as np
from django.db import connection, transaction
from numpy.typing import NDArray

from aggregation import tier_queries
from aggregation.core.confirming import sharpened
from aggregation.core.tiers import ScoredAudits
from aggregation.core.votes import Floats
from aggregation.services.auditing import is_audited, lots_of
from projects.models import AUDIT_PRIORITY, Project
from projects.queries import fetch
from projects.services.live_model import live_model
from projects.services.recompute import decode_posteriors, reading, summarise_rows

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: Tasks read at a time, and audits whose votes are read at a time.
CHUNK, FEW = 20_000, 1000
#: An audit that arrives later than others of its lot may wait so long for people before it counts as wrong.
PATIENCE = timedelta(days=1)
#: Audits that people are asked for at a time, …
AT_WORK = 50
#: … but no more than so large a part of all tasks that they have answered: what audits teaches no learner.
PART = 1 / 3


@dataclass(frozen=True, eq=False)
class Predicted:
    """n tasks that a learner has predicted, but for known answers.

    score: f8[n], the probability of its label. label: int[n], that label. votes, leases: int[n]. open, alone, flagged:
    bool[n], whether the task collects votes, is the machine's, or was found broken. known: int[n], an expert's answer
    or -1. late: bool[n], waited for patiently. lot: f8[n]. audited: bool[n].
    """

    ids: Ints
    score: Floats
    label: Ints
    votes: Ints
    leases: Ints
    open: Bools
    alone: Bools
    flagged: Bools
    known: Ints
    late: Bools
    lot: Floats
    audited: Bools

    def since(self, first: int) -> Predicted:
        """Those tasks alone that have at least this id."""
        kept = self.ids >= first
        return replace(self, **{each.name: getattr(self, each.name)[kept] for each in fields(self)})

    @property
    def free(self) -> Bools:
        """What the machine may label alone: no audits, and nothing that people have looked at. bool[n]."""
        return np.asarray(~self.audited & (self.votes == 0) & (self.known < 0) & (self.open | self.alone))

    @property
    def answered(self) -> Bools:
        """Whether people have said all that they will say. bool[n]."""
        return np.asarray((self.known >= 0) | (~self.open & ~self.alone & ((self.votes > 0) | self.flagged)))


def read_predicted(project: Project, *, run: int, sharpness: float) -> Predicted:
    """All tasks that this retraining's learner has predicted; payloads and posteriors are not kept."""
    parts = list(_parts(project, run, sharpness))
    columns: dict[str, Any] = {
        name: np.concatenate([np.empty(0, kind), *(part[place].astype(kind) for part in parts)])
        for place, (name, kind) in enumerate(TYPES.items())
    }
    ids = columns["ids"]
    return Predicted(**columns, lot=lots_of(project, ids), audited=is_audited(project, ids))


#: Of the columns of a part, which are those of `Predicted` but for what is drawn.
TYPES = {"ids": "i8", "score": "f8", "label": "i8", "votes": "i8", "leases": "i8"} | {
    "open": "?",
    "alone": "?",
    "flagged": "?",
    "known": "i8",
    "late": "?",
}


def _parts(project: Project, run: int, sharpness: float) -> Iterator[tuple[NDArray[np.generic], ...]]:
    after = 0
    asked = {"project": project.id, "run": run, "limit": CHUNK, "patience": PATIENCE}
    while rows := fetch(tier_queries.PREDICTED, after=after, **asked):
        ids, encoded, votes, leases, retired, known, late = zip(*rows, strict=True)
        said = sharpened(decode_posteriors(encoded, len(project.labels)), sharpness)
        reasons = np.array([reason or "" for reason in retired])
        yield (
            np.array(ids),
            said.max(axis=1),
            said.argmax(axis=1),
            np.array(votes),
            np.array(leases),
            reasons == "",
            reasons == "auto",
            reasons == "flagged",
            np.array(known),
            np.array(late),
        )
        after = ids[-1]


@dataclass(frozen=True, eq=False)
class Evidence:
    """Audits drawn so far, the share they were drawn by, and how often their truth is itself wrong."""

    audits: ScoredAudits
    share: float
    truth_error: float
    reviewed: int
    waiting: int  # audits that are not decided yet
    unproven: int  # of these, those that people have answered
    # All audits of such labels as they arrived, m of them; whether the label is right, and whether that is known.
    ids: Ints
    score: Floats
    right: Bools
    decided: Bools

    def watched(self, *, after: int, threshold: float) -> Bools:
        """Whether labels of this score were right, of tasks that came after this one, up to the first not decided."""
        mine = (self.ids > after) & (self.score >= threshold)
        decided = np.append(self.decided[mine], False)
        return self.right[mine][: int(decided.argmin())]


def gather(project: Project, predicted: Predicted, *, lowest: float, drawn: float) -> Evidence:
    """What audits say of labels with at least this score; drawn: the share that has been drawn for this learner.

    Audits are taken by their lots, as far as all have been answered: so none is left out for what it would say. Those
    that arrived since count once they are answered, or as wrong after some patience. Truth is an expert's answer, or
    else what people's votes alone make of the task, as far as gold has shown how often that is right.
    """
    mine = np.flatnonzero(predicted.audited & (predicted.score >= lowest))
    truth, doubt = _truth(project, predicted, mine)
    answered = (truth >= 0) | predicted.flagged[mine]
    lot = predicted.lot[mine]
    share = max(drawn, min([*lot[~answered].tolist(), project.audit_share]))
    counted = (lot < share) & (answered | predicted.late[mine])
    right = (truth == predicted.label[mine]) & (truth >= 0)
    consensus = counted & (truth >= 0) & (predicted.known[mine] < 0)
    audits = ScoredAudits(predicted.score[mine][counted], right[counted], lot[counted])
    error = float(doubt[consensus].sum() / max(int(counted.sum()), 1))
    reviewed = int((counted & (predicted.known[mine] >= 0)).sum())
    unproven = int((~answered & predicted.answered[mine]).sum())
    arrived = predicted.ids[mine], predicted.score[mine], right, answered
    return Evidence(audits, share, error, reviewed, int((~answered).sum()), unproven, *arrived)


def _truth(project: Project, predicted: Predicted, rows: Ints) -> tuple[Ints, Floats]:
    """The true label of these rows, int[m], -1 where it is not known; and the chance that it is another, f8[m]."""
    truth, doubt = predicted.known[rows].copy(), np.zeros(len(rows))
    by_votes = np.flatnonzero(predicted.answered[rows] & (truth < 0) & ~predicted.flagged[rows])
    calibrated = live_model(project_id=project.id).calibration is not None
    for start in range(0, len(by_votes) if calibrated else 0, FEW):
        some = by_votes[start : start + FEW]
        label, confidence = consensus_of_votes(project, predicted.ids[rows[some]])
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


def ask_audits(predicted: Predicted, *, lowest: float) -> int:
    """Put the next audits before other tasks, by their lots: how many people have yet to answer then."""
    voted = predicted.votes > 0
    if (voted & predicted.audited).sum() > max(AT_WORK, PART * voted.sum()):
        return 0
    wanted = np.flatnonzero(predicted.audited & predicted.open & (predicted.score >= lowest))
    wanted = wanted[np.argsort(predicted.lot[wanted], kind="stable")][:AT_WORK]
    fetch(tier_queries.ASK_AUDITS, tasks=predicted.ids[wanted].tolist(), priority=AUDIT_PRIORITY)
    return len(wanted)
