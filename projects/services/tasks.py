"""Uploading tasks and importing recorded votes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import IO, Any

import orjson

from aggregation.core import choice
from projects import queries
from projects.errors import FieldError, Invalid, InvalidVotes, UnsupportedMediaType
from projects.models import QUALIFICATION_POOL, TAG, TAG_RULE, Event, Project
from projects.models.work import EventKind
from projects.queries import fetch
from projects.services.gold import place_uploaded_gold
from projects.services.hints import hint_after_commit
from projects.services.projects import request_places
from projects.services.uploads import (
    READERS,
    Errors,
    LineError,
    body_reader,
    copy_into,
    copy_line,
    merging,
    refuse,
    spool,
)

#: Columns of a CSV file that are no data.
COLUMNS = ("key", "gold", "redundancy", "pool", "qualification")
BOOLEANS = {"": False, "false": False, "0": False, "no": False, "true": True, "1": True, "yes": True}
FIELDS = ("key", "data", "gold", "redundancy", "pool", "qualification")
MAX_KEY = 200
MAX_REDUNDANCY = 1000
#: Of a task for training or tests: its answers are not counted, so this many people may have it at the same time.
ANYBODY = 1_000_000
#: What a line can contradict of the task that has its key.
CONFLICTS = {
    "data": "its key is known with other data",
    "pool": "its key is known in another pool, or is for qualification in one place alone",
    "gold": "contradicts the stored gold",
}
#: An upload of this size changes what the planner should know of the tables.
MANY = 1000
#: The escape of a NUL character in JSON: an odd number of backslashes, or it is a text about NUL characters.
NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


@dataclass(frozen=True)
class NewTask:
    key: str | None
    data: bytes  # JSON
    gold: int | None
    redundancy: int | None
    pool: str = ""


@dataclass(frozen=True)
class Uploaded:
    created: int
    already_there: int
    gold: int


@dataclass(frozen=True)
class Imported:
    imported: int
    repeated: int
    annotators: int


def upload_tasks(*, project: Project, body: IO[bytes], media_type: str) -> Uploaded:
    """Store the tasks of a JSON array, newline-delimited JSON or CSV body: all of them, or none.

    Raises InvalidTasks with one error per wrong line (100 at most), TooLarge, UnsupportedMediaType.
    """
    if media_type not in READERS:
        raise UnsupportedMediaType(f"Send tasks as {', '.join(READERS)}; not as {media_type or 'nothing'}.")
    place, records = READERS[media_type]
    errors = Errors(place)
    from_record = _task_of_row if media_type == "text/csv" else task_of_object
    keys: dict[str, int] = {}
    with spool() as file:
        count = 0
        for number, record in records(body_reader(body), errors):
            try:
                task = from_record(record, project)
                note_key(keys, task.key, number, place)
            except LineError as error:
                errors.add(number, error)
                continue
            file.write(copy_line((number, task.key, task.data, task.gold, task.redundancy, task.pool)))
            count += 1
        refuse(errors.found)
        if not count:
            raise Invalid("This upload holds no tasks.", code="empty")
        return _merge_tasks(project=project, file=file, count=count, place=place)


def _merge_tasks(*, project: Project, file: IO[bytes], count: int, place: str) -> Uploaded:
    with merging(project) as project:
        fetch(queries.UPLOAD_TABLE)
        copy_into("upload", "line, key, data, gold, redundancy, pool", file)
        fetch(queries.UPLOAD_KNOWN, project=project.id)
        conflicts = Errors(place)
        for line, field in fetch(queries.UPLOAD_CONFLICTS):
            conflicts.add(line, LineError(CONFLICTS[field], field=field, code="task_conflict"))
        refuse(conflicts.found)
        ((known,),) = fetch("SELECT count(*) FROM upload WHERE known")
        fetch(queries.UPLOAD_TASKS, project=project.id)
        fetch(queries.UPLOAD_STATES, project=project.id, redundancy=project.redundancy)
        fetch(queries.UPLOAD_QUEUE, project=project.id, order=project.order)
        ((gold,),) = fetch(queries.UPLOAD_GOLD, project=project.id, qualification=QUALIFICATION_POOL)
        if gold and project.gold_share is not None:
            place_uploaded_gold(project)
        if known < count and (project.learner or project.explore_share) is not None:
            ((first,),) = fetch("SELECT min(task_id) FROM upload WHERE NOT known")
            request_places(project_id=project.id, first=first)
        if count >= MANY:
            # Not in a minute, when PostgreSQL would do it by itself: the next lease is planned with these numbers.
            fetch("ANALYZE projects_taskqueue, projects_taskstate")
        if gold:
            Event.objects.create(project=project, kind=EventKind.GOLD)
            hint_after_commit("aggregation.refit", project.id)
    return Uploaded(created=count - known, already_there=known, gold=gold)


def task_of_object(record: Any, project: Project) -> NewTask:
    """A task given as ``{"data": {…}, "key"?, "gold"?, "redundancy"?, "pool"?, "qualification"?}``."""
    if not isinstance(record, dict):
        raise LineError(f'must be an object {{"data": {{…}}}}, not {_kind(record)}', code="not_an_object")
    for name in record:
        if name not in FIELDS:
            raise LineError(f"is not known; a task has {', '.join(FIELDS)}", field=name[:50], code="unknown_field")
    data = record.get("data")
    if not isinstance(data, dict):
        raise LineError(f"must be an object, not {_kind(data)}", field="data", code="not_an_object")
    return _task(record, data, record.get("redundancy"), record.get("qualification", False), project)


def _task_of_row(row: dict[str, str], project: Project) -> NewTask:
    """A task given as a CSV row: ``key``, ``gold`` and the like mean what they say, the rest is its data."""
    data = {name: value for name, value in row.items() if name not in COLUMNS}
    if not data:
        raise LineError(f"has no column with data, only {', '.join(row)}", code="no_data")
    redundancy = row.get("redundancy") or None
    if redundancy is not None and not (redundancy.isdecimal() and len(redundancy) < 20):
        raise LineError("must be a whole number", field="redundancy", code="invalid_redundancy")
    own = {name: row.get(name) or None for name in COLUMNS}
    qualification = BOOLEANS.get(row.get("qualification", "").strip().lower())
    return _task(own, data, None if redundancy is None else int(redundancy), qualification, project)


def _task(
    own: Mapping[str, Any], data: dict[str, Any], redundancy: Any, qualification: Any, project: Project
) -> NewTask:
    task = NewTask(
        key=_key(own.get("key")),
        data=_encoded(data),
        gold=_gold(own.get("gold"), project),
        redundancy=_redundancy(redundancy),
        pool=_pool(own.get("pool")),
    )
    if not isinstance(qualification, bool):
        raise LineError("must be true or false", field="qualification", code="invalid_qualification")
    return _for_qualification(task) if qualification else task


def _for_qualification(task: NewTask) -> NewTask:
    """The task in the pool of those that people train and are tested on."""
    if task.gold is None:
        raise LineError("a task for qualification needs its gold", field="gold", code="missing")
    for name, given in (("pool", task.pool or None), ("redundancy", task.redundancy)):
        if given is not None:
            raise LineError("a task for qualification has none", field=name, code="qualification")
    return replace(task, redundancy=ANYBODY, pool=QUALIFICATION_POOL)


def _key(key: Any) -> str | None:
    if key is None:
        return None
    if isinstance(key, int) and not isinstance(key, bool):
        key = str(key)
    if not isinstance(key, str) or not key.strip() or len(key) > MAX_KEY or "\x00" in key:
        raise LineError(f"must be a text of 1 to {MAX_KEY} characters", field="key", code="invalid_key")
    return key


def note_key(keys: dict[str, int], key: str | None, number: int, place: str) -> None:
    if key is None:
        return
    if key in keys:
        raise LineError(f"repeats the key of {place} {keys[key]}", field="key", code="repeated_key")
    keys[key] = number


def _gold(gold: Any, project: Project) -> int | None:
    if gold is None:
        return None
    try:
        return choice.canonical({"label": gold}, project.labels)[1]
    except ValueError as error:
        raise LineError(str(error), field="gold", code="unknown_label") from error


def _redundancy(redundancy: Any) -> int | None:
    """Votes wanted for this task alone; 0 = it is never handed out, only predicted."""
    if redundancy is None:
        return None
    if not isinstance(redundancy, int) or isinstance(redundancy, bool) or not 0 <= redundancy <= MAX_REDUNDANCY:
        raise LineError(f"must be 0 to {MAX_REDUNDANCY}", field="redundancy", code="invalid_redundancy")
    return redundancy


def _pool(pool: Any) -> str:
    """A tag: only members who have it get the task. "" = everybody does."""
    if pool is None:
        return ""
    if not isinstance(pool, str) or not TAG.fullmatch(pool):
        raise LineError(TAG_RULE, field="pool", code="invalid_pool")
    return pool


def _encoded(data: dict[str, Any]) -> bytes:
    try:
        encoded = orjson.dumps(data)
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise LineError(f"can't be stored: {error}", field="data", code="invalid_data") from error
    if NUL.search(encoded):
        raise LineError("holds a NUL character, which can't be stored", field="data", code="nul_character")
    return encoded


def _kind(value: Any) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return "nothing" if value is None else names.get(type(value), "something else")


def import_votes(*, project: Project, body: IO[bytes]) -> Imported:
    """Import recorded votes from CSV with the columns ``task,worker,label`` (task = the task's key): all or none.

    Recorded votes are not limited by redundancy: a task that has more wants as many. Of a repeated (task, worker) the
    first vote stays, the others are counted as ``repeated``. Raises InvalidVotes with one error per wrong line.
    """
    errors = Errors("line")
    reader = READERS["text/csv"][1]
    with spool() as file:
        count = 0
        for number, row in reader(body_reader(body), errors):
            try:
                file.write(copy_line((number, *_recorded_vote(row, project))))
            except LineError as error:
                errors.add(number, error)
            count += 1
        refuse(errors.found, InvalidVotes)
        if not count:
            raise Invalid("This file holds no votes.", code="empty")
        return _merge_votes(project=project, file=file, count=count)


def _recorded_vote(row: dict[str, str], project: Project) -> tuple[str, str, int]:
    for name in ("task", "worker", "label"):
        if not row.get(name, "").strip():
            raise LineError("is missing", field=name, code="missing")
        if "\x00" in row[name]:
            raise LineError("holds a NUL character, which can't be stored", field=name, code="nul_character")
    if len(row["worker"]) > MAX_KEY:
        raise LineError(f"is longer than {MAX_KEY} characters", field="worker", code="too_long")
    try:
        label = choice.canonical({"label": row["label"]}, project.labels)[1]
    except ValueError as error:
        raise LineError(str(error), field="label", code="unknown_label") from error
    return row["task"], row["worker"], label


def _merge_votes(*, project: Project, file: IO[bytes], count: int) -> Imported:
    with merging(project) as project:
        fetch(queries.IMPORT_TABLE)
        copy_into("imported", "line, key, worker, label", file)
        fetch(queries.IMPORT_TASKS, project=project.id)
        unknown = fetch(queries.IMPORT_UNKNOWN_TASKS)
        refuse(
            [
                FieldError(f"line {line}.task", "unknown_task", f"no task has the key {key[:50]!r}")
                for line, key in unknown
            ],
            InvalidVotes,
        )
        ((annotators,),) = fetch(queries.IMPORT_ANNOTATORS, project=project.id)
        fetch(queries.IMPORT_ANNOTATOR_IDS, project=project.id)
        ((imported,),) = fetch(queries.IMPORT_VOTES, project=project.id, labels=project.labels)
        if imported:
            Event.objects.create(project=project, kind=EventKind.IMPORT)
            hint_after_commit("aggregation.refit", project.id)
    return Imported(imported=imported, repeated=count - imported, annotators=annotators)
