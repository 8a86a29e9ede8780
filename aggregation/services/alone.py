"""Labels that the machine gives alone, by the certificate in force: given, and taken back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import transaction
from numpy.typing import NDArray
from psycopg.types.json import Jsonb

from aggregation import tier_queries
from aggregation.core import live
from aggregation.core.confirming import sharpened
from aggregation.core.votes import Floats
from projects.models import Project
from projects.queries import fetch, from_json
from projects.services.recompute import decode_posteriors

#: Tasks in one transaction.
CHUNK = 1000


@dataclass(frozen=True)
class InForce:
    """The certificate on which the machine answers alone: of which retraining's learner, and from which score."""

    id: int
    run: int
    threshold: float
    sharpness: float

    def says(self, prediction: Floats) -> Floats:
        """What the machine makes of a prediction f8[K], or f8[n, K]."""
        return sharpened(prediction, self.sharpness)

    def covers(self, run: int | None, said: Floats) -> bool:
        return run == self.run and float(said.max()) >= self.threshold


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


def give_all(*, project: Project, certificate: InForce, task_ids: NDArray[np.int64]) -> int:
    """As ``give``, for any number of tasks, a chunk at a time while the certificate is in force: how many."""
    given = 0
    for start in range(0, len(task_ids), CHUNK):
        with transaction.atomic():
            if in_force(project) != certificate:
                break
            asked = {"tasks": task_ids[start : start + CHUNK].tolist(), "run": certificate.run}
            said = _said(project, certificate, fetch(tier_queries.SAID, **asked))
            sure = {id_: p for id_, p in said.items() if certificate.covers(certificate.run, p)}
            given += give(project=project, certificate=certificate, said=sure)
    return given


def _said(project: Project, certificate: InForce, rows: list[tuple[Any, ...]]) -> dict[int, Floats]:
    proba = certificate.says(decode_posteriors([encoded for _, encoded in rows], len(project.labels)))
    return {id_: p for (id_, _), p in zip(rows, proba, strict=True)}


def take_back_all(*, project: Project, certificate: InForce | None) -> int:
    """Reopen every task that is the machine's and that the certificate, if there is one, does not cover: how many.

    Where it covers the task with another label, that is published.
    """
    taken = 0
    for rows in _alone(project):
        reopened, relabelled = [], {}
        for id_, encoded, run, label in rows:
            said = None
            if certificate is not None and encoded is not None:
                said = certificate.says(live.decode_posterior(from_json(encoded), len(project.labels)))
            if certificate is None or said is None or not certificate.covers(run, said):
                reopened.append(id_)
            elif int(said.argmax()) != label:
                relabelled[id_] = said
        with transaction.atomic():
            taken += len(fetch(tier_queries.REOPEN, tasks=reopened))
            if certificate is not None and in_force(project) == certificate:
                _publish(project, certificate, relabelled)
    return taken


def _alone(project: Project) -> Iterator[list[tuple[Any, ...]]]:
    after = 0
    while rows := fetch(tier_queries.ALONE, project=project.id, after=after, limit=CHUNK):
        yield rows
        after = rows[-1][0]
