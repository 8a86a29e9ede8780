"""A small campaign on the stack's database, made and driven by the services themselves."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import psycopg
from django.db import connection

from aggregation.core import live
from aggregation.models import Consensus, Run
from aggregation.services import refit as refits
from aggregation.services import retrain as retrainings
from aggregation.services.locks import Lock, advisory_lock
from projects.models import (
    Event,
    Member,
    Project,
    Role,
    Task,
    TaskPosterior,
    TaskState,
    User,
)
from projects.queries import fetch, from_json
from projects.services.ballots import VoteInput
from projects.services.leases import Lease, lease_tasks
from projects.services.projects import create_project
from projects.services.recompute import summarise
from projects.services.tasks import Imported, Uploaded, import_votes, upload_tasks
from projects.services.voting import submit_votes
from tests.support.client import wait_for

#: What the worker of the stack does in a project without being asked.
KEEP_AWAY = Lock.REFIT, Lock.RETRAINING, Lock.PLACES, Lock.TARGET


def unique(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:12]}"


@dataclass(frozen=True, eq=False)
class TaskSummary:
    """One row of `recompute.Summaries`."""

    task_id: int
    votes: int
    label: int
    confidence: float
    retired: str | None
    posterior: np.ndarray[Any, np.dtype[np.float64]]


class Campaign:
    """One project, with as many annotators as a test asks for. Its tasks' data is ``{"n": 0, 1, 2, …}``."""

    def __init__(self, *, tasks: int = 0, annotators: int = 0, **settings: Any) -> None:
        self.manager = User.objects.create(name=unique("manager"), may_create_projects=True)
        settings = {"name": "Campaign", "labels": ["cat", "dog"], **settings}
        self.project = create_project(creator=self.manager, settings=settings)
        self.id = self.project.id
        self.annotators = [self.join() for _ in range(annotators)]
        if tasks:
            self.upload([{"data": {"n": n}} for n in range(tasks)])

    def join(self, user: User | None = None) -> Member:
        user = user or User.objects.create(name=unique("annotator"))
        return Member.objects.create(project=self.project, user=user, name=user.name, role=Role.ANNOTATOR)

    def upload(self, tasks: Sequence[dict[str, Any]]) -> Uploaded:
        body = io.BytesIO(b"\n".join(orjson.dumps(task) for task in tasks))
        return upload_tasks(project=self.project, body=body, media_type="application/x-ndjson")

    def import_votes(self, rows: Sequence[tuple[str, str, str]]) -> Imported:
        text = "task,worker,label\n" + "".join(f"{task},{worker},{label}\n" for task, worker, label in rows)
        return import_votes(project=self.fresh(), body=io.BytesIO(text.encode()))

    def fresh(self) -> Project:
        return Project.objects.get(id=self.id)

    def member(self, annotator: int) -> Member:
        return Member.objects.select_related("project").get(id=self.annotators[annotator].id)

    def task(self, n: int) -> int:
        """The id of the task with this number."""
        return Task.objects.get(project=self.id, data__n=n).id

    def state(self, n: int) -> TaskState:
        return TaskState.objects.get(task=self.task(n))

    def lease(self, annotator: int, n: int | None = None) -> Lease:
        """A lease of this annotator, on this very task if a number is given."""
        leases, why = lease_tasks(member=self.member(annotator), count=1 if n is None else 100)
        found = [lease for lease in leases if n is None or lease.data["n"] == n]
        assert found, f"no lease on task {n}: {why}"
        return found[0]

    def vote(self, annotator: int, label: str, n: int | None = None) -> None:
        """This annotator's vote, stored."""
        vote = VoteInput(assignment=self.lease(annotator, n).id, label=label)
        assert submit_votes(member=self.member(annotator), votes=[vote]) == [None]

    def refit(self) -> Run:
        """One refit in this process, as soon as one is due."""
        run = wait_for(lambda: refits.refit(project_id=self.id), what="a refit that is due")
        assert isinstance(run, Run)
        return run

    def retrain(self) -> Run | None:
        return retrainings.retrain(project_id=self.id)

    def consensus(self, n: int) -> Consensus:
        return Consensus.objects.get(task=self.task(n))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep the stack's worker away from this project: the locks are ours, and a session may take them again."""
        with ExitStack() as held:
            locks = [held.enter_context(advisory_lock(lock, self.id)) for lock in KEEP_AWAY]
            assert all(locks), "take the locks before the first vote"
            yield


def other_connection(**arguments: Any) -> psycopg.Connection[Any]:
    """One more connection to the database that Django uses: somebody else, whose transactions the test steers."""
    parameters = connection.get_connection_params()
    wanted = {name: parameters[name] for name in ("host", "port", "user", "password", "dbname") if name in parameters}
    return psycopg.connect(**wanted, **arguments)


def recomputed(project: Project) -> dict[int, TaskSummary]:
    """Every task as its counted votes make it now, computed afresh with the present skills; nothing written."""
    ids = list(Task.objects.filter(project=project).values_list("id", flat=True))
    found, _run = summarise(project=project, task_ids=ids)
    columns = found.ids, found.votes, found.label, found.confidence, found.retired, found.posterior
    return {row[0]: TaskSummary(*row) for row in zip(*columns, strict=True)}


COUNTERS = """
SELECT s.task_id,
       ARRAY[(SELECT count(*) FROM projects_vote v WHERE v.task_id = s.task_id AND v.status = 'counted'),
             (SELECT count(*) FROM projects_assignment a WHERE a.task_id = s.task_id AND a.status = 'open')],
       ARRAY[s.votes, s.leases]::bigint[], s.redundancy
FROM projects_taskstate s WHERE s.project_id = %(project)s ORDER BY s.task_id
"""


def assert_counters_are_true(project: Project) -> None:
    """Counters equal what they count, and redundancy is not exceeded."""
    # One statement: the stack's sweeper may end a lease at any time.
    for task, counted, counters, redundancy in fetch(COUNTERS, project=project.id):
        assert counters == counted, f"task {task}"
        assert sum(counted) <= redundancy, f"task {task}"


def settle(project: Project) -> None:
    """Wait until the stack's worker has seen all news: nothing is due any more and nothing is running."""

    def quiet() -> bool:
        due = Event.objects.filter(project=project).exists()
        asked = Project.objects.filter(id=project.id, refit_requested_at__isnull=False).exists()
        return not due and not asked and not Run.objects.filter(project=project, status="running").exists()

    wait_for(quiet, seconds=240, what="the last refit")


def assert_state_is_fresh(project: Project, *, within: float = 1e-9) -> None:
    """Every task with votes has the counters and the posterior that its counted votes make."""
    assert_counters_are_true(project)
    stored = dict(TaskPosterior.objects.filter(task__project=project).values_list("task_id", "posterior"))
    K = len(project.labels)
    for task_id, summary in recomputed(project).items():
        if summary.votes:
            posterior = live.decode_posterior(from_json(stored[task_id]), K)
            np.testing.assert_allclose(posterior, summary.posterior, atol=within, err_msg=f"task {task_id}")
