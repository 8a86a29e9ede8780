"""kill -9 of anything at any time loses no acknowledged vote and leaves no half-written consensus.

On a stack of its own, which the tests here kill piece by piece; what they know of it they learn over HTTP and SQL.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import psycopg
import pytest

from tests.concurrency.races import beside
from tests.support.client import Client, create_project, join, lease, sign_in_by_link, upload, vote, wait_for
from tests.support.receiver import Received, receiver
from tests.support.stack import Stack, start_stack


@dataclass
class Doomed:
    """A stack to be killed, with its first manager."""

    stack: Stack
    manager: Client

    def connect(self, **arguments: Any) -> psycopg.Connection[Any]:
        return psycopg.connect(self.stack.environment()["DATABASE_URL"], **arguments)

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with self.connect(autocommit=True) as connection:
            return connection.execute(sql, parameters).fetchall()

    def kill(self, part: str) -> None:
        os.kill(self.stack.pids()[part], signal.SIGKILL)

    def wait_until_settled(self, project: int) -> None:
        """Nothing is due and the queue of news is empty: the last refit has seen everything."""

        def settled() -> bool:
            try:
                statistics = self.manager.ok("GET", f"/api/projects/{project}/statistics")
            except httpx.TransportError:
                return False
            return not statistics["refit_pending"] and statistics["refits"] > 0

        wait_for(settled, seconds=240, what="a refit that has seen all votes")

    def export(self, project: int) -> dict[str, dict[str, Any]]:
        text = self.manager.get(f"/api/projects/{project}/consensus.jsonl").text
        return {row["key"]: row for row in map(orjson.loads, text.splitlines())}

    def runs(self, project: int, kind: str) -> list[dict[str, Any]]:
        """Oldest first."""
        return [run for run in self.manager.pages(f"/api/projects/{project}/runs") if run["kind"] == kind][::-1]

    def wait_for_waiting_job(self) -> None:
        """Until a job has come to a row which the test holds."""
        waiting = (
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'projects_(taskstate|livemodel)'"
        )
        wait_for(lambda: self.rows(waiting), seconds=240, what="a job that waits for our lock")


@pytest.fixture(scope="module")
def doomed() -> Iterator[Doomed]:
    place = Path(tempfile.mkdtemp(prefix="crowd-doomed-"))
    stack = start_stack(place / "home", {"CROWD_WEBHOOK_HOSTS": "127.0.0.1"})
    try:
        with sign_in_by_link(stack.link) as manager:
            yield Doomed(stack, manager)
    finally:
        stack.stop()
        shutil.rmtree(place, ignore_errors=True)


def label_of(person: int, key: str) -> str:
    """Five people agree, the first is of another opinion on most tasks."""
    return "cat" if (int(key) + (person == 0)) % 3 else "dog"


@dataclass
class Crowd:
    """People who vote over HTTP and note which of their votes were acknowledged."""

    doomed: Doomed
    project: int
    people: list[Client]
    acknowledged: list[tuple[int, str, str]] = field(default_factory=list)  # person, task, label

    def vote_on_all(self, person: int, *, count: int = 5, stop: threading.Event | None = None) -> None:
        """Lease and vote until nothing is left. What fails is tried again, as a good client does."""
        while not (stop and stop.is_set()):
            try:
                path = f"/api/projects/{self.project}/assignments"
                answer = self.people[person].ok("POST", path, {"count": count})
                if answer["status"] == "finished":
                    return
                for assignment in answer["assignments"]:
                    key = assignment["data"]["key"]
                    label = label_of(person, key)
                    response = vote(self.people[person], self.project, assignment["id"], label)
                    if response.status_code == 200:
                        self.acknowledged.append((person, key, label))
                    else:
                        assert response.status_code >= 500, response.text
            except (httpx.TransportError, AssertionError) as error:
                if isinstance(error, AssertionError) and ": 50" not in str(error):
                    raise

    def assert_nothing_is_lost(self) -> None:
        """Every acknowledged vote is there exactly once, and counted."""
        stored = self.doomed.rows(
            "SELECT m.name, t.key, v.answer->>'label' FROM projects_vote v JOIN projects_task t ON t.id = v.task_id"
            " JOIN projects_member m ON m.id = v.annotator_id WHERE v.project_id = %s AND v.status = 'counted'",
            self.project,
        )
        names = self.names()
        by_place = {(names[name], key): label for name, key, label in stored}
        assert len(by_place) == len(stored), "one vote a person and task"
        acknowledged = {(person, key): label for person, key, label in self.acknowledged}
        assert acknowledged.items() <= by_place.items()
        wrong = self.doomed.rows(
            "SELECT s.task_id, s.votes, s.leases, s.redundancy FROM projects_taskstate s WHERE s.project_id = %s AND ("
            " s.votes <> (SELECT count(*) FROM projects_vote v WHERE v.task_id = s.task_id AND v.status = 'counted')"
            " OR s.leases <>"
            " (SELECT count(*) FROM projects_assignment a WHERE a.task_id = s.task_id AND a.status = 'open')"
            " OR s.votes + s.leases > s.redundancy)",
            self.project,
        )
        assert wrong == []
        unpaid = self.doomed.rows(
            "SELECT v.id FROM projects_vote v LEFT JOIN projects_payment p ON p.vote_id = v.id"
            " WHERE v.project_id = %s AND p.id IS NULL",
            self.project,
        )
        assert unpaid == []
        budget = self.doomed.manager.ok("GET", f"/api/projects/{self.project}/statistics")["budget"]
        parts = (Decimal(budget[part]) for part in ("spent", "reserved", "available"))
        assert sum(parts) == Decimal(budget["budget"])

    def assert_consensus_has_arrived(self) -> None:
        """What is exported stands on all votes that are stored: their number, the label, and a refit that is done."""
        self.doomed.wait_until_settled(self.project)
        live = self.doomed.rows(
            "SELECT t.key, s.votes, s.label FROM projects_taskstate s JOIN projects_task t ON t.id = s.task_id"
            " WHERE s.project_id = %s AND s.votes > 0",
            self.project,
        )
        exported = self.doomed.export(self.project)
        found = {key: (row["votes"], row["label"]) for key, row in exported.items()}
        assert found == {key: (votes, ["cat", "dog"][label]) for key, votes, label in live}
        # Where all six have voted there is no doubt: but for the first person, all say the same.
        certain = {key: label for key, (votes, label) in found.items() if votes == 6}
        assert certain == {key: label_of(1, key) for key in certain}
        done = {run["id"] for run in self.doomed.runs(self.project, "refit")}
        assert {row["run"] for row in exported.values()} <= done

    def names(self) -> dict[str, int]:
        ids = self.doomed.rows("SELECT name, user_id FROM projects_member WHERE project_id = %s", self.project)
        tokens = [
            self.doomed.rows("SELECT user_id FROM projects_apitoken WHERE prefix = %s", (person.token or "")[:12])[0][0]
            for person in self.people
        ]
        return {name: tokens.index(user) for name, user in ids if user in tokens}


@pytest.fixture
def crowd(doomed: Doomed, request: pytest.FixtureRequest) -> Iterator[Crowd]:
    """Thirty tasks for six people, who take all of them."""
    name = "".join(filter(str.isalnum, request.node.name))[:60]
    settings = {"redundancy": 6, "learner": "numeric", "learner_fields": ["n"], "retrain_after_votes": 1_000_000}
    settings |= {"price_per_vote": "0.07", "budget": "500"}
    project = create_project(doomed.manager, name=name, **settings)
    upload(doomed.manager, project, [{"key": str(n), "data": {"key": str(n), "n": n}} for n in range(30)])
    people = [join(doomed.manager, project, f"{name}{n}") for n in range(6)]
    yield Crowd(doomed, project, people)
    for person in people:
        person.close()


@pytest.mark.parametrize("held", ["projects_livemodel", "projects_taskstate"], ids=["before", "amid"])
def test_kill_the_worker_at_publishing_and_the_next_refit_finishes(crowd: Crowd, held: str) -> None:
    doomed = crowd.doomed
    crowd.vote_on_all(0)
    doomed.wait_until_settled(crowd.project)

    # A refit that has come to the row which we hold: nothing of it is current yet, or half of it is published.
    with doomed.connect() as somebody:
        somebody.execute(f"SELECT 1 FROM {held} WHERE project_id = %s LIMIT 1 FOR UPDATE", [crowd.project])
        for person in (1, 2):
            for assignment in lease(crowd.people[person], crowd.project, 6)[1:]:
                # The first task's row may be the one we hold.
                key = assignment["data"]["key"]
                if key != "0":
                    label = label_of(person, key)
                    assert vote(crowd.people[person], crowd.project, assignment["id"], label).status_code == 200
                    crowd.acknowledged.append((person, key, label))
        doomed.wait_for_waiting_job()
        doomed.kill("worker")
        somebody.rollback()
    for person in range(1, 6):
        crowd.vote_on_all(person)

    crowd.assert_nothing_is_lost()
    assert len(crowd.acknowledged) == 180
    crowd.assert_consensus_has_arrived()
    runs = doomed.runs(crowd.project, "refit")
    assert [run["error"] for run in runs if run["status"] == "failed"] == ["interrupted"]
    assert runs[-1]["status"] == "done" and runs[-1]["counts"]["votes"] == 180


@pytest.mark.parametrize("held", ["projects_livemodel", "projects_taskstate"], ids=["predicted", "half-applied"])
def test_kill_a_retraining_and_it_goes_on_where_it_was(crowd: Crowd, held: str) -> None:
    """Its predictions are set aside already: the same run ends as done, and has predicted every task once."""
    doomed = crowd.doomed
    crowd.vote_on_all(0)
    doomed.wait_until_settled(crowd.project)

    with doomed.connect() as somebody:
        somebody.execute(f"SELECT 1 FROM {held} WHERE project_id = %s LIMIT 1 FOR UPDATE", [crowd.project])
        doomed.manager.ok("POST", f"/api/projects/{crowd.project}/retrain")
        doomed.wait_for_waiting_job()
        doomed.kill("worker")
        somebody.rollback()

    def finished() -> bool:
        return [run["status"] for run in doomed.runs(crowd.project, "retraining")] == ["done"]

    wait_for(finished, seconds=240, what="the retraining that was asked for")
    (run,) = doomed.runs(crowd.project, "retraining")
    assert run["counts"]["predicted"] == 30 and run["progress"] == 1.0
    predicted = "SELECT count(*) FROM projects_prediction WHERE run = %s"
    assert doomed.rows(predicted, run["id"]) == [(30,)]
    assert doomed.rows("SELECT learner_run FROM projects_livemodel WHERE project_id = %s", crowd.project) == [
        (run["id"],)
    ]
    asked = "SELECT 1 FROM projects_project WHERE id = %s AND retrain_requested_at IS NOT NULL"
    wait_for(lambda: not doomed.rows(asked, crowd.project), what="the end of the request")


def test_empty_the_broker_and_consensus_still_arrives(crowd: Crowd) -> None:
    """All messages are thrown away while the worker stands still: the sweeper finds what the rows say is due."""
    doomed = crowd.doomed
    worker = doomed.stack.pids()["worker"]
    os.kill(worker, signal.SIGSTOP)
    try:
        for person in range(6):
            crowd.vote_on_all(person)
        assert len(crowd.acknowledged) == 180, "voting needs no worker"
        wait_for(lambda: doomed.rows("SELECT 1 FROM pgmq.q_crowd"), what="a message")
        ((purged,),) = doomed.rows("SELECT pgmq.purge_queue('crowd')")
        assert purged > 0
    finally:
        os.kill(worker, signal.SIGCONT)

    crowd.assert_nothing_is_lost()
    crowd.assert_consensus_has_arrived()


def test_kill_the_worker_amid_deliveries_and_a_webhook_misses_nothing(crowd: Crowd) -> None:
    """It is killed when a message has arrived and its answer has not: the same message comes again, then the rest."""
    doomed = crowd.doomed
    kills = 2
    with receiver() as server:

        def answer(message: Received) -> int:
            nonlocal kills
            if kills:
                kills -= 1
                worker = doomed.stack.pids()["worker"]
                doomed.kill("worker")
                wait_for(lambda: doomed.stack.pids()["worker"] != worker, seconds=240, what="a new worker")
            return 200

        server.answers = answer
        doomed.manager.ok("POST", f"/api/projects/{crowd.project}/webhooks", {"url": server.url})
        for person in range(6):
            crowd.vote_on_all(person)
        crowd.assert_consensus_has_arrived()

        def has_heard_all() -> bool:
            exported = {key: row["label"] for key, row in doomed.export(crowd.project).items()}
            return server.labels == exported and len(exported) == 30

        wait_for(has_heard_all, seconds=240, what="the last of every task")

        def has_noted_all() -> bool:
            (hook,) = doomed.manager.ok("GET", f"/api/projects/{crowd.project}/webhooks")["results"]
            return (hook["waiting"], hook["last_error"], hook["last_status"]) == (0, "", 200)

        wait_for(has_noted_all, what="the sender's note of the last answer")
    bodies = {message.id: message.body for message in server.received}
    assert kills == 0 and len(server.received) == len(bodies) + 2
    assert all(bodies[message.id] == message.body for message in server.received), "a repeat is the same message"


def test_without_the_sweeper_hints_alone_bring_a_vote_to_consensus(tmp_path: Path) -> None:
    stack = start_stack(tmp_path / "home", {"CROWD_SWEEP_SECONDS": "3600"})
    try:
        with sign_in_by_link(stack.link) as manager:
            project = create_project(manager)
            upload(manager, project, [{"key": str(n), "data": {"n": n}} for n in range(3)])
            with join(manager, project, "Ada") as ada:
                (assignment,) = lease(ada, project)
                assert vote(ada, project, assignment["id"], "cat").status_code == 200

            def refits() -> list[Any]:
                runs = manager.pages(f"/api/projects/{project}/runs")
                return [run for run in runs if run["kind"] == "refit" and run["status"] == "done"]

            (run,) = wait_for(refits, seconds=240, what="a refit that nobody but the vote asked for")
            assert run["counts"]["votes"] == 1
    finally:
        stack.stop()


@pytest.mark.parametrize(("scheme", "kind"), [("pgmq", "never answers"), ("amqp", "refuses")])
def test_votes_do_not_need_the_broker(doomed: Doomed, scheme: str, kind: str) -> None:
    """A web process whose broker is gone, or takes connections and says nothing: its votes are stored all the same."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if kind == "never answers":
            listener.listen(100)
        broker = f"{scheme}://somebody:secret@127.0.0.1:{listener.getsockname()[1]}/crowd"
        environment = {**os.environ, **doomed.stack.environment(), "BROKER_URL": broker, "CROWD_LOG_LEVEL": "ERROR"}
        done = subprocess.run(
            [sys.executable, "-c", VOTE_WITHOUT_BROKER],
            env=environment,
            cwd=Path(__file__).resolve().parents[2],
            capture_output=True,
            text=True,
            timeout=240,
        )
    assert done.returncode == 0, done.stderr
    project = int(done.stdout.split()[-1])
    # Nobody was told. The sweep finds it, with the stack's own broker.
    published = "SELECT count(*) FROM aggregation_consensus WHERE project_id = %s AND votes = 1"
    wait_for(lambda: doomed.rows(published, project) == [(20,)], seconds=240, what="consensus")


VOTE_WITHOUT_BROKER = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "crowd.settings"
from crowd.celery import app  # as a web process does
import django
django.setup()
from tests.services.campaign import Campaign
campaign = Campaign(tasks=20, annotators=1)
for _ in range(20):
    campaign.vote(0, "cat")
print(campaign.id)
"""


def test_kill_the_database_and_the_rest_under_voting(crowd: Crowd) -> None:
    """The database three times, the web server and the worker in between; the people go on as soon as they can."""
    doomed = crowd.doomed
    upload(doomed.manager, crowd.project, [{"key": str(n), "data": {"key": str(n), "n": n}} for n in range(30, 1000)])
    stop = threading.Event()
    with beside(*(partial(crowd.vote_on_all, person, stop=stop) for person in range(6))):
        try:
            for victim in ("database", "web", "database", "worker", "database"):
                seen = len(crowd.acknowledged)
                wait_for(lambda seen=seen: len(crowd.acknowledged) >= seen + 40, seconds=240, what="votes under load")
                pid = doomed.stack.pids()[victim]
                doomed.kill(victim)
                wait_for(lambda v=victim, p=pid: doomed.stack.pids()[v] != p, seconds=240, what=f"a new {victim}")
            seen = len(crowd.acknowledged)
            wait_for(lambda: len(crowd.acknowledged) >= seen + 40, seconds=240, what="votes after the last kill")
        finally:
            stop.set()

    crowd.assert_nothing_is_lost()
    crowd.assert_consensus_has_arrived()
