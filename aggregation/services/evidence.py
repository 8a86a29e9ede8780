"""What answered audits say of a part of a project's tasks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aggregation.core.audits import Audits, Issued, still_certified
from aggregation.core.tiers import CertifiedThreshold, Evidence, certify, evidence_of
from aggregation.models import Certificate
from aggregation.services.drawing import Drawing
from aggregation.services.scoring import Part, Pool, count_pool


@dataclass(frozen=True, eq=False)
class Seen:
    """All that a look at audits has found: of the pool's tasks, those before this one are settled."""

    pool: Pool
    settled: int
    audits: Audits
    counted: np.ndarray[Any, np.dtype[np.bool_]]
    evidence: Evidence
    truth_error: float
    found: CertifiedThreshold

    @property
    def newest(self) -> int:
        """The last task of which anything is known."""
        return min(self.pool.newest, self.settled - 1)


def see(drawing: Drawing, part: Part, pool: Pool, audits: Audits, held: float | None = None) -> Seen:
    plan, share = drawing.plan, drawing.answered
    counted, settled = audits.counted(share, plan), audits.settled(share, plan)
    known = pool if settled >= part.before else count_pool(replace(part, before=settled), plan)
    evidence = evidence_of(audits.scored(counted), known.tasks, share, plan)
    error = audits.truth_error(counted)
    return Seen(pool, settled, audits, counted, evidence, error, certify(evidence, plan, error, held))


def held_still(drawing: Drawing, audits: Audits, current: Certificate | None) -> float | None:
    """The threshold in force, if it stays so."""
    if current is None:
        return None
    then = {name: current.figures[name] for name in ("newest", "share", "wrong", "bound", "truth_error")}
    error = audits.truth_error(audits.counted(drawing.answered, drawing.plan))
    issued = Issued(threshold=current.threshold, max_error=current.error, **then)
    return current.threshold if still_certified(issued, audits, error) else None
