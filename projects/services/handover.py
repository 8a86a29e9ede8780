"""Tasks from systems in production: checked as an upload is, and before all others in the queue."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from projects import queries
from projects.errors import Conflict, FieldError, InvalidTasks
from projects.models import HANDOVER_PRIORITY, Project
from projects.queries import fetch
from projects.services.tasks import note_key, task_of_object
from projects.services.uploads import LineError

#: What a task that is handed over may say beside its data: the rest is for those who prepare a campaign.
FIELDS = {"key", "data"}


@dataclass(frozen=True)
class HandedOver:
    """Tasks of a request, in its order: the id and key of each; and the ids of those that are new."""

    ids: list[int]
    keys: list[str]
    new: set[int]


def check_tasks(*, project: Project, items: Sequence[Any]) -> list[tuple[str, Any]]:
    """The key and data of each task, a random key where none is given. Raises InvalidTasks naming each wrong field."""
    errors: list[FieldError] = []
    seen: dict[str, int] = {}
    checked: list[tuple[str, Any]] = []
    for number, item in enumerate(items):
        try:
            if isinstance(item, dict) and (unknown := item.keys() - FIELDS):
                raise LineError("is not known; a task has key and data", field=min(unknown)[:50], code="unknown_field")
            task = task_of_object(item, project)
            note_key(seen, task.key, number, "task")
            checked.append((task.key or f"handover-{uuid.uuid4()}", item["data"]))
        except LineError as error:
            errors.append(FieldError(".".join(filter(None, [f"tasks.{number}", error.field])), error.code, str(error)))
    if errors:
        raise InvalidTasks("Nothing was stored: some tasks are not right.", errors=errors)
    return checked


def store_tasks(*, project: Project, tasks: Sequence[tuple[str, Any]]) -> HandedOver:
    """Store those tasks whose key is not known. Raises Conflict for a key that is known with other data."""
    ids = [id_ for (id_,) in fetch(queries.NEW_TASK_IDS, count=len(tasks))]
    rows = Jsonb([{"id": id_, "key": key, "data": data} for id_, (key, data) in zip(ids, tasks, strict=True)])
    added = fetch(queries.HAND_OVER, project=project.id, tasks=rows, priority=HANDOVER_PRIORITY)
    # A statement of its own: it sees what others have added in the meantime.
    known = {key: (id_, same) for key, id_, same in fetch(queries.HANDED_OVER, project=project.id, tasks=rows)}
    for number, (key, _) in enumerate(tasks):
        if not known[key][1]:
            detail = "This key is known with other data."
            raise Conflict(detail, field=f"tasks.{number}.key", code="task_conflict")
    keys = [key for key, _ in tasks]
    return HandedOver([known[key][0] for key in keys], keys, {id_ for (id_,) in added})
