"""Tasks from before a machine became worse. Its successor is judged by what has come since; of these tasks it labels
those of a threshold that is certified for all tasks, too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from aggregation.core.audits import Audits
from aggregation.models import Certificate
from aggregation.services.auditing import draw
from aggregation.services.audits import ask, read_audits
from aggregation.services.drawing import Drawing
from aggregation.services.evidence import Seen, see
from aggregation.services.scoring import NEVER, count_pool


def certified_for_all(
    drawing: Drawing, since: Seen, threshold: float, current: Certificate | None
) -> dict[str, Any] | None:
    """By which figures a threshold, certified by what has come since, is for all tasks; None if it is not.

    Audits of earlier tasks are known answers. Those that lack are drawn if the manager allows so many.
    """
    part, plan, limit = replace(drawing.part, first=NEVER), drawing.plan, drawing.truth_limit()
    pool, audits = count_pool(part, plan), read_audits(part, limit)
    allowed = int(part.project.audit_share * pool.all) - len(audits.ids)
    if _lacking(drawing, pool.free - since.pool.free, audits.before(drawing.part.first)) > allowed:
        return None
    if draw(project=part.project, run=part.run, plan=plan, share=drawing.drawn):
        pool, audits = count_pool(part, plan), read_audits(part, limit)
    earlier = audits.before(drawing.part.first)
    if earlier.settled(drawing.answered, plan) < drawing.part.first:
        ask(earlier)
        return None
    row = drawing.plan.row(threshold) - 1
    return _still(audits, threshold, current) or _now(see(drawing, part, pool, audits), row, drawing)


def _lacking(drawing: Drawing, free: np.ndarray[Any, np.dtype[np.int64]], earlier: Audits) -> float:
    """How many more audits of earlier tasks to expect by the same shares. free: int[G + 1], those by band."""
    share = earlier.share_of_like(drawing.drawn, drawing.plan)
    expected = drawing.drawn @ free[:-1] + share.sum()
    return float(expected - (earlier.lot < share).sum())


def _still(audits: Audits, threshold: float, current: Certificate | None) -> dict[str, Any] | None:
    """What was certified stays so, while its audits say what they did."""
    then: dict[str, Any] | None = None if current is None else current.figures.get("all")
    if current is None or then is None or current.threshold != threshold:
        return None
    wrong = audits.wrong_by(newest=then["newest"], threshold=threshold, share=then["share"])
    return then if wrong <= then["wrong"] else None


def _now(seen: Seen, row: int, drawing: Drawing) -> dict[str, Any] | None:
    lowest, bound = drawing.plan.row(seen.found.threshold), float(seen.found.bounds[row])
    if row >= lowest or bound > drawing.plan.max_error:
        return None
    return {
        "bound": bound,
        "tasks": int(seen.evidence.tasks[row]),
        "audits": int(seen.evidence.audits[row]),
        "wrong": int(seen.evidence.wrong[row]),
        "share": float(drawing.answered[row]),
        "newest": seen.newest,
    }
