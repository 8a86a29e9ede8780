"""The confirm tier: people see what the machine says of a task, but for some who don't, by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import SystemRandom
from typing import TYPE_CHECKING, Any

from aggregation.core import live
from aggregation.core.confirming import sharpened
from projects import queries
from projects.models import LiveModel, Project
from projects.queries import fetch, fetch_together, from_json

if TYPE_CHECKING:
    from projects.services.leases import Lease

#: Nobody can work out what it says next.
_random = SystemRandom()


def suggest(*, project: Project, leases: Sequence[Lease]) -> list[Lease]:
    """The leases with what the machine says where it is sure enough, unless the annotator is to answer blind.

    That is decided once for each assignment, gold or not, and recorded with what would have been shown.
    """
    ids = [lease.id for lease in leases]
    new = fetch(queries.TO_SUGGEST, assignments=ids)
    weight = LiveModel.objects.values_list("prediction_weight", flat=True).get(project=project)
    decided = [(id_, *_decision(project, weight, audits, from_json(stored))) for id_, audits, stored in new]
    chosen = {"assignments": [row[0] for row in decided], "suggestions": [row[1] for row in decided]}
    *_, rows = fetch_together(
        (queries.SUGGEST, {**chosen, "shown": [row[2] for row in decided]}),
        (queries.SUGGESTED, {"assignments": ids}),
    )
    shown = {id_: project.labels[label] for id_, label in rows}
    return [replace(lease, suggestion=shown.get(lease.id)) for lease in leases]


def _decision(project: Project, weight: float, audits: bool, stored: Any) -> tuple[int | None, bool]:
    """What the machine says of the task, if it is sure enough; and whether it is shown: never where it is audited.

    A prediction of no weight says the same of all labels: nothing, however low the bar.
    """
    if stored is None or project.confirm_above is None or weight <= 0:
        return None, False
    said = sharpened(live.decode_posterior(stored, len(project.labels)), weight)
    if said.max() < project.confirm_above:
        return None, False
    blind = audits or _random.random() < project.blind_share
    return int(said.argmax()), not blind
