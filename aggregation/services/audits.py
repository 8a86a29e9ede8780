"""What people found out about a project's machine: the evidence of a certificate, and what is to be audited next."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from django.db import connection, transaction
from numpy.typing import NDArray

from aggregation import tier_queries
from aggregation.core.audits import Audits
from aggregation.services.scoring import Part
from projects.models import AUDIT_PRIORITY, Project
from projects.queries import fetch
from projects.services.recompute import reading, summarise_rows

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: Audits whose votes are read at a time.
FEW = 1000
#: An audit may wait so long for people, while they answer newer ones, before it counts as wrong.
PATIENCE = timedelta(days=1)


def read_audits(part: Part, limit: float | None) -> Audits:
    """Truth is an expert's answer; or else what people's votes alone make of the task, once gold has shown how often
    that is wrong at most: the limit."""
    rows = fetch(tier_queries.AUDITS, patience=PATIENCE, **part.asked)
    ids, score, label, lot, late, votes, retired, known = zip(*rows, strict=True) if rows else ((),) * 8
    reasons = np.array([reason or "" for reason in retired], dtype=np.str_)
    reviewed, is_open, broken = np.array(known, np.int64) >= 0, reasons == "", reasons == "flagged"
    by_votes = np.asarray(~reviewed & ~is_open & ~broken & (np.array(votes, np.int64) > 0))
    truth = np.array(known, np.int64)
    if limit is not None:
        truth[by_votes] = labels_of_votes(part.project, np.array(ids, np.int64)[by_votes])
    return Audits(
        ids=np.array(ids, np.int64),
        score=np.array(score, np.float64),
        lot=np.array(lot, np.float64),
        right=(truth == np.array(label, np.int64)) & (truth >= 0),
        answered=np.asarray((truth >= 0) | broken),
        late=np.array(late, np.bool_),
        reviewed=reviewed,
        votes=np.array(votes, np.int64),
        open=is_open,
        limit=1.0 if limit is None else limit,
    )


def labels_of_votes(project: Project, task_ids: Ints) -> Ints:
    """What people's votes alone make of tasks, int64[n]: the machine has no part in it."""
    parts = [_labels_of_votes(project, task_ids[start : start + FEW]) for start in range(0, len(task_ids), FEW)]
    return np.concatenate([np.empty(0, np.int64), *parts])


def _labels_of_votes(project: Project, task_ids: Ints) -> Ints:
    with transaction.atomic(), connection.cursor() as cursor:
        # One snapshot: votes and live model belong together, so that they are not read again with predictions.
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        rows = fetch(reading(project), tasks=task_ids.tolist())
        found, _ = summarise_rows(project=project, rows=[(*row[:5], None, *row[6:]) for row in rows])
    label = dict(zip(found.ids, found.label.tolist(), strict=True))
    return np.array([label[id_] for id_ in task_ids.tolist()], dtype=np.int64)


def ask(audits: Audits) -> int:
    """Put all that wait for people before other tasks: how many."""
    wanted = audits.ids[audits.open]
    fetch(tier_queries.ASK_AUDITS, tasks=wanted.tolist(), priority=AUDIT_PRIORITY)
    return len(wanted)
