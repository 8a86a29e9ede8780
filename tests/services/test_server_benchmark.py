"""The benchmark of the whole service: small, on a stack of its own; and its modes and counts on the suite's stack."""

import argparse
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from benchmarks import server, server_client
from benchmarks.server_violations import violations
from tests.support.client import Client, create_project, upload
from tests.support.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
NEVER = {"overfilled", "repeats", "lost", "double_paid", "over_budget"}


def test_it_measures_a_stack_of_its_own_beside_the_ceiling_and_leaves_nothing(tmp_path: Path) -> None:
    place, report = tmp_path / "place", tmp_path / "figures.json"
    place.mkdir()
    command = [sys.executable, "benchmarks/server.py", "--tasks", "300", "--clients", "2", "--mode", "single"]
    done = subprocess.run(
        [*command, "--seconds", "4", "--slices", "2", "--json", str(report)],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(place)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert list(place.iterdir()) == []

    figures = json.loads(report.read_text())
    assert set(figures["violations"]) == NEVER
    assert not any(figures["violations"].values())
    assert figures["share_of_ceiling"] == figures["cycles_per_s"] / figures["ceiling_per_s"] > 0
    for kind in ("lease_ms", "vote_ms"):
        assert 0 < figures[kind]["p50"] <= figures[kind]["p95"] <= figures[kind]["p99"]
    assert {"database", "web", "worker", "client", "others", "idle"} <= set(figures["cpu"])
    assert 0 < figures["cpu_ms_per_cycle"]["ceiling"] < figures["cpu_ms_per_cycle"]["service"]
    assert figures["refused"] == 0
    assert figures["valid"] == (figures["ceiling_per_s"] >= 800) != ("INVALID" in done.stdout)
    assert "2 web processes of 8 threads" in done.stdout


@pytest.mark.parametrize("mode", ["combined", "batch", "veteran", "publishing"])
def test_each_mode_stores_what_it_acknowledges(stack: Stack, manager: Client, mode: str) -> None:
    settings = ["lease_seconds=60", *(["budget=100000"] if mode == "combined" else [])]
    recorded = 2 if mode == "batch" else 0
    asked = {"tasks": 4000, "clients": 2, "mode": mode, "seconds": 3.0, "slices": 1, "labels": 3, "redundancy": 3}
    wanted = argparse.Namespace(**asked, setting=settings, recorded=recorded)
    figures = server.measure(stack, manager, wanted)  # type: ignore[arg-type]  # a Stack has the home and url that it reads
    assert (figures["refused"], figures["first_refusal"]) == (0, None)
    assert not any(figures["violations"].values())
    assert figures["violations"]["over_budget"] == (0 if mode == "combined" else None)
    assert figures["cycles_per_s"] > 0
    assert all(size > 0 for size in figures["sizes_mb"].values())
    assert "finished" not in figures["told"] or mode in ("batch", "combined")
    if mode == "veteran":
        assert figures["veteran_votes"] == 2000
        assert figures["lease_ms"]["p50"] and figures["newcomers"]["lease_ms"]["p50"]
    if mode == "publishing":
        assert figures["published"]["tasks"] == 4000


@pytest.fixture
def connection(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    """Whatever a test does by it is undone."""
    with psycopg.connect(stack.environment()["DATABASE_URL"]) as connection:
        yield connection
        connection.rollback()


def test_it_counts_what_must_never_happen(manager: Client, connection: psycopg.Connection[Any]) -> None:
    project = create_project(manager, redundancy=1)
    upload(manager, project, [{"data": {"n": n}} for n in range(3)])
    (leased,) = manager.ok("POST", f"/api/projects/{project}/assignments", {"count": 1})["assignments"]
    vote = {"assignment": leased["id"], "label": "cat"}
    manager.ok("POST", f"/api/projects/{project}/votes", {"votes": [vote]})
    assert counted(connection, project, (leased["id"], "cat")) == {"overfilled": 0, "repeats": 0, "lost": 0}

    never, other = (str(uuid.uuid4()), "cat"), (leased["id"], "dog")
    assert counted(connection, project, (leased["id"], "cat"), never, other)["lost"] == 2

    # Only without its constraint can the database be made to hold what must not be.
    connection.execute("DROP INDEX vote_once_per_task_and_annotator")
    connection.execute(
        "INSERT INTO projects_vote (project_id, task_id, annotator_id, answer, label, status)"
        " SELECT project_id, task_id, annotator_id, answer, label, status FROM projects_vote WHERE project_id = %s",
        [project],
    )
    assert counted(connection, project) == {"overfilled": 1, "repeats": 1, "lost": 0}


def test_it_counts_what_is_paid_twice_and_budgets_that_do_not_add_up(
    manager: Client, connection: psycopg.Connection[Any]
) -> None:
    project = create_project(manager, redundancy=1, budget=5)
    upload(manager, project, [{"data": {"n": n}} for n in range(3)])
    (leased, _) = manager.ok("POST", f"/api/projects/{project}/assignments", {"count": 2})["assignments"]
    vote = {"assignment": leased["id"], "label": "cat"}
    manager.ok("POST", f"/api/projects/{project}/votes", {"votes": [vote]})

    def money() -> list[int | None]:
        found = violations(connection, project, ())
        return [found["double_paid"], found["over_budget"]]

    assert money() == [0, 0]
    connection.execute("ALTER TABLE projects_payment DROP CONSTRAINT projects_payment_vote_id_key")
    connection.execute(
        "INSERT INTO projects_payment (project_id, annotator_id, vote_id, amount)"
        " SELECT project_id, annotator_id, vote_id, amount FROM projects_payment WHERE project_id = %s",
        [project],
    )
    assert money() == [1, 1]


def counted(connection: psycopg.Connection[Any], project: int, *acknowledged: tuple[str, str]) -> dict[str, int | None]:
    found = violations(connection, project, acknowledged)
    return {name: found[name] for name in ("overfilled", "repeats", "lost")}


def test_its_client_reads_chunked_answers() -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    answer = head + b"5\r\nhello\r\nB\r\n 0\r\n\r\nworld\r\n0\r\n\r\n"
    assert b"".join(server_client.chunks(answer, len(head))) == b"hello 0\r\n\r\nworld"
