"""The project that `server.py` measures: its tasks, its annotators, and what has happened to it before."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from crowd.demo.client import Client, join_by_link

#: How many votes a veteran has, if there are twice as many tasks.
VETERAN_VOTES = 100_000
#: Tasks whose votes are imported in one request.
TASKS_AT_ONCE = 500_000
#: Tables that a vote reads and writes, by what they hold.
SIZED = {"hot": "taskstate", "queue": "taskqueue", "posterior": "taskposterior", "confusion": "confusion"}
SIZE = "SELECT pg_total_relation_size(%s::regclass)"
#: Who cast the votes that a refit publishes.
RECORDED_ANNOTATORS = 1000

# The veteran's tasks are left at the head of the queue, where everybody has to look past them. By default the first
# refit moves them, by what they are worth asking about; in a project that hands out tasks in a fixed order they stay.
VETERAN = """
WITH member AS (
    SELECT id, project_id FROM projects_member WHERE project_id = %(project)s AND name = %(name)s
), had AS (
    SELECT t.id, (t.data->>'number')::bigint %% %(labels)s AS label FROM projects_task t
    WHERE t.project_id = %(project)s ORDER BY t.id LIMIT %(votes)s
), assigned AS (
    INSERT INTO projects_assignment (id, project_id, task_id, annotator_id, status, leased_at, expires_at, closed_at)
    SELECT gen_random_uuid(), project_id, had.id, member.id, 'voted', now(), now(), now() FROM had, member
    RETURNING id, project_id, task_id, annotator_id
), voted AS (
    INSERT INTO projects_vote (project_id, task_id, annotator_id, assignment_id, answer, label, status, created_at)
    SELECT a.project_id, a.task_id, a.annotator_id, a.id,
           jsonb_build_object('label', (%(names)s::text[])[had.label + 1]), had.label, 'counted', now()
    FROM assigned a JOIN had ON had.id = a.task_id
)
UPDATE projects_taskstate s SET votes = votes + 1, version = version + 1 FROM had WHERE s.task_id = had.id
"""

#: A refit has made its run current, and is at its second step.
PUBLISHES = """
SELECT EXISTS (SELECT FROM aggregation_run r JOIN projects_livemodel m ON m.run = r.id
               WHERE r.project_id = %(project)s AND r.status = 'running')
"""
SETTLED = """
SELECT NOT EXISTS (SELECT FROM projects_event WHERE project_id = %(project)s)
   AND NOT EXISTS (SELECT FROM aggregation_run WHERE project_id = %(project)s AND status = 'running')
"""
#: When refits published, in seconds since 1970: a run's last step.
PUBLISHING = """
SELECT extract(epoch FROM finished_at)::float8 - (metrics->>'publish_seconds')::float8,
       extract(epoch FROM finished_at)::float8, (counts->>'tasks')::int
FROM aggregation_run WHERE project_id = %(project)s AND kind = 'refit' AND status = 'done'
"""


@dataclass
class Campaign:
    """A project of so many tasks whose annotators are the tokens' owners."""

    manager: Client
    connection: Any
    project: int
    tasks: int
    labels: Sequence[str]
    upload_seconds: float = 0.0
    tokens: Sequence[str] = ()
    names: Sequence[str] = ()

    def make_veteran(self) -> int:
        """The first annotator has voted on the first tasks; how many votes that are."""
        votes = min(VETERAN_VOTES, self.tasks // 2)
        about = {"project": self.project, "name": self.names[0], "votes": votes}
        self.connection.execute(VETERAN, about | {"labels": len(self.labels), "names": list(self.labels)})
        return votes

    def import_votes(self, each: int) -> None:
        """Every task gets so many votes, of different people, so that the next refit publishes all of them."""
        labels, people = self.labels, RECORDED_ANNOTATORS
        for start in range(0, self.tasks, TASKS_AT_ONCE):
            tasks = range(start, min(start + TASKS_AT_ONCE, self.tasks))
            rows = (f"{t},recorded {(t + v) % people},{labels[t % len(labels)]}\n" for t in tasks for v in range(each))
            self._upload("votes/import", "text/csv", ("task,worker,label\n" + "".join(rows)).encode())

    def sizes_mb(self) -> dict[str, float]:
        """What takes room beside payloads and votes: with indexes, in megabytes."""
        return {
            name: round(self.connection.execute(SIZE, [f"projects_{table}"]).fetchone()[0] / 1e6, 3)
            for name, table in SIZED.items()
        }

    def _upload(self, path: str, media_type: str, body: bytes) -> float:
        """Seconds that it took."""
        began = time.monotonic()
        headers = {"Content-Type": media_type}
        self.manager.ok("POST", f"/api/projects/{self.project}/{path}", content=body, headers=headers, timeout=1800)
        return time.monotonic() - began

    def upload_tasks(self) -> None:
        lines = (f'{{"key": "{n}", "data": {{"number": {n}, "text": "Task {n}"}}}}\n' for n in range(self.tasks))
        self.upload_seconds = self._upload("tasks", "application/x-ndjson", "".join(lines).encode())

    def tidy(self) -> None:
        """What the server's own vacuum would do within the next minutes, in the middle of a slice."""
        self.connection.execute("VACUUM ANALYZE")
        self.connection.execute("CHECKPOINT")

    def request_refit(self) -> None:
        self.manager.ok("POST", f"/api/projects/{self.project}/refit")

    def wait_until(self, sql: str, what: str, within: float = 900) -> None:
        deadline = time.monotonic() + within
        while not self._ask(sql)[0][0]:
            if time.monotonic() > deadline:
                raise SystemExit(f"{what} did not come within {within:.0f} s")
            time.sleep(0.05)

    def publishing(self) -> list[tuple[float, float, int]]:
        """Of each refit that is done: when its publishing began and ended, and how many tasks it went over."""
        return self._ask(PUBLISHING)

    def _ask(self, sql: str) -> list[Any]:
        rows: list[Any] = self.connection.execute(sql, {"project": self.project}).fetchall()
        return rows


def make_campaign(
    manager: Client,
    connection: Any,
    *,
    tasks: int,
    clients: int,
    settings: dict[str, Any],
    say: Callable[[str], object],
) -> Campaign:
    """Through the public API, as anybody's project is made."""
    project = int(manager.ok("POST", "/api/projects", {"name": "Benchmark", **settings})["id"])
    campaign = Campaign(manager, connection, project, tasks, settings["labels"])
    say(f"uploading {tasks:,} tasks …")
    campaign.upload_tasks()
    invited = manager.ok("POST", f"/api/projects/{project}/invites", {"role": "annotator"})
    campaign.names = [f"annotator {project}-{number}" for number in range(clients)]
    with httpx.HTTPTransport() as transport:
        people = [join_by_link(invited["link"], name, transport) for name in campaign.names]
    campaign.tokens = [str(person.token) for person in people]
    return campaign


def settings_of(labels: int, redundancy: int, others: Sequence[str]) -> dict[str, Any]:
    """A project's settings. others: NAME=VALUE, the value as JSON or else as it is."""
    settings: dict[str, Any] = {"labels": [f"label {k}" for k in range(labels)], "redundancy": redundancy}
    for name, _, value in (each.partition("=") for each in others):
        try:
            settings[name] = json.loads(value)
        except ValueError:
            settings[name] = value
    return settings
