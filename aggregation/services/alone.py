"""Labels that the machine gives alone, by the certificate in force: given, and taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from psycopg.types.json import Jsonb

from aggregation import tier_queries
from aggregation.core import live
from aggregation.core.audits import ALWAYS
from aggregation.core.confirming import sharpened
from aggregation.core.votes import Floats
from projects.models import Project
from projects.queries import fetch
from projects.services.recompute import decode_posteriors

#: Tasks in one transaction.
CHUNK = 1000


@dataclass(frozen=True)
class InForce:
    """The certificate on which the machine answers alone: of which retraining's learner, from which score, before which
    task it has not become worse (None: all), and from which task on it is certified."""

    id: int
    run: int
    threshold: float
    sharpness: float
    before: int | None = None
    first: int = 0

    def says(self, prediction: Floats) -> Floats:
        """What the machine makes of a prediction f8[K], or f8[n, K]."""
        return sharpened(prediction, self.sharpness)

    def covers(self, task: int, run: int | None, said: Floats) -> bool:
        mine = self.first <= task < (ALWAYS if self.before is None else self.before)
        return mine and run == self.run and float(said.max()) >= self.threshold


def in_force(project: Project) -> InForce | None:
    """The project's certificate, held until the present transaction ends; None while the machine may not answer."""
    rows = fetch(tier_queries.CERTIFICATE_IN_FORCE, project=project.id)
    return InForce(*rows[0]) if rows else None


def give(*, project: Project, certificate: InForce, said: dict[int, Floats], wait: str = "SKIP LOCKED") -> int:
    """Of these tasks, retire those that nobody has voted on or holds, with what the machine says: how many.

    said: f8[K] by task. The caller holds the certificate. wait: tasks that somebody holds are passed over.
    """
    mine = [id_ for (id_,) in fetch(tier_queries.RETIRE_AUTO.format(wait=wait), tasks=sorted(said))]
    _publish(project, certificate, {id_: said[id_] for id_ in mine})
    return len(mine)


def _publish(project: Project, certificate: InForce, said: dict[int, Floats]) -> None:
    rows = [
        {"task_id": id_, "label": int(p.argmax()), "confidence": float(p.max()), "posterior": live.encode_posterior(p)}
        for id_, p in said.items()
    ]
    if rows:
        fetch(tier_queries.PUBLISH_MACHINE, project=project.id, run=certificate.run, rows=Jsonb(rows))


def give_all(*, project: Project, certificate: InForce, task_ids: Sequence[int]) -> int:
    """As ``give``, for any number of tasks, a chunk at a time while the certificate is in force: how many."""
    given = 0
    for start in range(0, len(task_ids), CHUNK):
        with transaction.atomic():
            if in_force(project) != certificate:
                break
            said = _said(project, certificate, task_ids[start : start + CHUNK])
            given += give(project=project, certificate=certificate, said=said)
    return given


def _said(project: Project, certificate: InForce, task_ids: Sequence[int]) -> dict[int, Floats]:
    """What the machine says of those of these tasks that the certificate covers."""
    rows = fetch(tier_queries.SAID, tasks=list(task_ids), run=certificate.run)
    proba = certificate.says(decode_posteriors([encoded for _, encoded in rows], len(project.labels)))
    said = {id_: p for (id_, _), p in zip(rows, proba, strict=True)}
    return {id_: p for id_, p in said.items() if certificate.covers(id_, certificate.run, p)}


def take_back_all(*, project: Project, certificate: InForce | None) -> int:
    """Reopen every task that is the machine's and that the certificate, if there is one, does not cover: how many.

    Where it covers the task with another label, that is published.
    """
    asked = {"project": project.id, **_terms(certificate)}
    rows, taken = fetch(tier_queries.NOT_COVERED, **asked), 0
    for start in range(0, len(rows), CHUNK):
        some = rows[start : start + CHUNK]
        with transaction.atomic():
            taken += len(fetch(tier_queries.REOPEN, tasks=[id_ for id_, covered in some if not covered]))
            if certificate is not None and in_force(project) == certificate:
                mine = fetch(tier_queries.HOLD_ALONE, tasks=[id_ for id_, covered in some if covered])
                _publish(project, certificate, _said(project, certificate, [id_ for (id_,) in mine]))
    return taken


def _terms(certificate: InForce | None) -> dict[str, float | None]:
    if certificate is None:
        return dict.fromkeys(("run", "threshold", "first", "before"))
    before = ALWAYS if certificate.before is None else certificate.before
    return {
        "run": certificate.run,
        "threshold": certificate.threshold,
        "first": certificate.first,
        "before": before,
    }
