"""Leases, votes and skips over HTTP: what is stored, what is refused, and what an annotator can tell."""

from __future__ import annotations

import re
import uuid
from typing import Any

import httpx
import pytest

from tests.api.support import Cast, Database, ascii_json, at_once, codes, enrol, refused
from tests.support.client import Client, create_project, lease, upload, vote


@pytest.fixture(scope="module", autouse=True)
def tasks(cast: Cast, project: int) -> None:
    upload(cast.mary, project, [{"data": {"text": f"task {i}"}} for i in range(300)])


def one(annotator: Client, project: int) -> str:
    """A fresh assignment."""
    count = annotator.ok("GET", f"/api/projects/{project}/me")["open_leases"] + 1
    return str(lease(annotator, project, count)[-1]["id"])


def votes(annotator: Client, project: int, *given: tuple[str, str]) -> httpx.Response:
    entries = [{"assignment": assignment, "label": label} for assignment, label in given]
    return annotator.post(f"/api/projects/{project}/votes", {"votes": entries})


def stored(db: Database, assignment: str) -> list[str]:
    return [
        row[0] for row in db.rows("SELECT answer->>'label' FROM projects_vote WHERE assignment_id = %s", assignment)
    ]


def test_a_vote_is_stored_and_its_repeat_answers_the_same(cast: Cast, project: int, db: Database) -> None:
    assignment = one(cast.ada, project)

    first = vote(cast.ada, project, assignment, "cat")
    again = vote(cast.ada, project, assignment, "cat")
    spaced = vote(cast.ada, project, assignment, " cat ")

    assert first.json() == {"results": [{"assignment": assignment, "status": "counted"}]}
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert first.content == spaced.content
    assert stored(db, assignment) == ["cat"]


def test_another_vote_after_the_fact_is_a_conflict_and_the_first_stays(cast: Cast, project: int, db: Database) -> None:
    assignment = one(cast.ada, project)
    assert vote(cast.ada, project, assignment, "cat").status_code == 200

    refused(vote(cast.ada, project, assignment, "dog"), 409, "vote_conflict", "votes.0.assignment")
    assert stored(db, assignment) == ["cat"]

    refused(cast.ada.post(f"/api/projects/{project}/assignments/{assignment}/skip"), 409, "assignment_closed")
    assert stored(db, assignment) == ["cat"]


def test_of_different_votes_at_the_same_moment_one_is_stored(cast: Cast, project: int, db: Database) -> None:
    for _ in range(5):
        assignment = one(cast.ada, project)

        answers = at_once(
            [lambda a=assignment, i=i: vote(cast.ada, project, a, ("cat", "dog")[i % 2]) for i in range(8)]
        )

        assert sorted(answer.status_code for answer in answers) == [200] * 4 + [409] * 4
        (label,) = stored(db, assignment)
        for i, answer in enumerate(answers):
            if answer.status_code == 200:
                assert label == ("cat", "dog")[i % 2]
            else:
                refused(answer, 409, "vote_conflict", "votes.0.assignment")


@pytest.mark.parametrize(
    ("given", "field", "code"),
    [
        ({"label": "cow"}, "votes.0.label", "unknown_label"),
        ({"label": "Cat"}, "votes.0.label", "unknown_label"),
        ({"label": ""}, "votes.0.label", "blank"),
        ({"label": None}, "votes.0.label", "null"),
        ({"label": ["cat"]}, "votes.0.label", "invalid"),
        ({"label": "ca\0t"}, "votes.0.label", "null_characters_not_allowed"),
        ({"label": "\ud800"}, "votes.0.label", "surrogate_characters_not_allowed"),
        ({"label": "x" * 1001}, "votes.0.label", "max_length"),
        ({"seconds": -1}, "votes.0.seconds", "min_value"),
        ({"seconds": "nan"}, "votes.0.seconds", "invalid"),
        ({"seconds": 10**400}, "votes.0.seconds", "overflow"),
        ({"assignment": "1 OR 1=1"}, "votes.0.assignment", "invalid"),
        ({"assignment": 1}, "votes.0.assignment", None),
        ({"task": 1}, "votes.0.task", "unknown_field"),
        ({"status": "discarded"}, "votes.0.status", "unknown_field"),
    ],
)
def test_a_wrong_vote_is_refused_by_its_path_and_leaves_the_assignment_open(
    given: dict[str, Any], field: str, code: str | None, cast: Cast, project: int, db: Database
) -> None:
    held = lease(cast.bob, project, 1)[0]["id"]
    before = db.holds(project)
    entry = {"assignment": held, "label": "cat", **given}

    response = cast.bob.post(f"/api/projects/{project}/votes", **ascii_json({"votes": [entry]}))

    if given == {"assignment": 1}:  # a number is read as a UUID, of nobody's assignment
        refused(response, 404, "unknown_assignment", field)
    else:
        body = refused(response, 400, "unknown_label" if code == "unknown_label" else "invalid", field)
        assert codes(body) == [code]
    assert db.holds(project) == before
    assert db.one("SELECT status FROM projects_assignment WHERE id = %s", held) == "open"


@pytest.mark.parametrize(
    ("given", "field", "code"),
    [
        ({}, "votes", "required"),
        ({"votes": []}, "votes", "min_length"),
        ({"votes": "cat"}, "votes", "not_a_list"),
        ({"votes": [[]]}, "votes.0", "invalid"),
        ({"votes": [None]}, "votes.0", "null"),
        ({"votes": [{"assignment": str(uuid.uuid4()), "label": "cat"}] * 101}, "votes", "max_length"),
    ],
)
def test_votes_come_as_a_list_of_1_to_100(
    given: dict[str, Any], field: str, code: str, cast: Cast, project: int
) -> None:
    body = refused(cast.bob.post(f"/api/projects/{project}/votes", given), 400, "invalid", field)
    assert codes(body) == [code]


def test_many_votes_at_once_succeed_or_fail_each_on_its_own(cast: Cast, project: int, db: Database) -> None:
    good, other, third = (one(cast.ada, project) for _ in range(3))
    unknown = str(uuid.uuid4())

    response = votes(cast.ada, project, (good, "cat"), (other, "cow"), (unknown, "dog"), (good, "dog"), (third, "dog"))

    assert response.status_code == 207
    results = response.json()["results"]
    assert [result["assignment"] for result in results] == [good, other, unknown, good, third]
    assert [result["status"] for result in results] == ["counted", "error", "error", "error", "counted"]
    errors = [result["error"] for result in results if result["status"] == "error"]
    assert [error["code"] for error in errors] == ["unknown_label", "unknown_assignment", "vote_conflict"]
    fields = [error["errors"][0]["field"] for error in errors]
    assert fields == ["votes.1.label", "votes.2.assignment", "votes.3.assignment"]
    for error in errors:
        assert set(error) == {"code", "detail", "errors"} and set(error["errors"][0]) == {"field", "code", "detail"}
    assert [stored(db, assignment) for assignment in (good, other, third)] == [["cat"], [], ["dog"]]

    again = votes(cast.ada, project, (good, "cat"), (third, "dog"))
    assert (again.status_code, len(again.json()["results"])) == (200, 2)


def test_votes_of_which_none_was_stored_are_one_error_that_names_them_all(cast: Cast, project: int) -> None:
    held = one(cast.ada, project)
    response = votes(cast.ada, project, (held, "cow"), (str(uuid.uuid4()), "cat"), (held, "horse"))
    body = refused(response, 400, "unknown_label", "votes.0.label", "votes.1.assignment", "votes.2.label")
    assert codes(body) == ["unknown_label", "unknown_assignment", "unknown_label"]


def test_somebody_elses_assignment_is_no_assignment(cast: Cast, project: int, db: Database) -> None:
    hers = one(cast.ada, project)

    refused(vote(cast.bob, project, hers, "cat"), 404, "unknown_assignment", "votes.0.assignment")
    refused(cast.bob.post(f"/api/projects/{project}/assignments/{hers}/skip"), 404, "unknown_assignment")

    assert vote(cast.ada, project, hers, "dog").status_code == 200
    refused(vote(cast.bob, project, hers, "dog"), 404, "unknown_assignment", "votes.0.assignment")
    assert stored(db, hers) == ["dog"]


def test_a_skipped_task_takes_no_vote_and_does_not_come_back(cast: Cast, db: Database) -> None:
    project = create_project(cast.mary, name="Skipping")
    enrol(cast.mary, project, cast.ada, "annotator")
    upload(cast.mary, project, [{"data": {"n": 1}}])
    (assignment,) = [task["id"] for task in lease(cast.ada, project)]
    path = f"/api/projects/{project}/assignments/{assignment}/skip"

    first, again = cast.ada.post(path, {}), cast.ada.post(path)

    assert first.json() == again.json() == {"assignment": assignment, "status": "skipped"}
    refused(vote(cast.ada, project, assignment, "cat"), 409, "assignment_closed", "votes.0.assignment")
    answer = cast.ada.ok("POST", f"/api/projects/{project}/assignments", {"count": 1})
    assert answer == {"assignments": [], "status": "finished"}
    state = "SELECT votes, leases FROM projects_taskstate WHERE project_id = %s"
    assert db.rows(state, project) == [(0, 0)]
    assert cast.ada.ok("GET", f"/api/projects/{project}/me") == {
        "votes": 0, "votes_today": 0, "skipped": 1, "open_leases": 0,
        "daily_quota": None, "total_quota": None,
        "earned": None, "price_per_vote": None, "currency": "",
        "standing": "active", "paused_until": None,
    }  # fmt: skip


def test_a_paused_project_hands_out_nothing_and_takes_no_vote(cast: Cast, db: Database) -> None:
    project = create_project(cast.mary, name="Paused")
    enrol(cast.mary, project, cast.ada, "annotator")
    upload(cast.mary, project, [{"data": {"n": i}} for i in range(2)])
    first, second = (task["id"] for task in lease(cast.ada, project, 2))
    assert vote(cast.ada, project, first, "cat").status_code == 200
    assert cast.mary.ok("POST", f"/api/projects/{project}/pause")["status"] == "paused"
    assert cast.mary.ok("POST", f"/api/projects/{project}/pause")["status"] == "paused", "pausing twice is no matter"

    refused(cast.ada.post(f"/api/projects/{project}/assignments", {"count": 1}), 409, "project_paused")
    refused(vote(cast.ada, project, second, "cat"), 409, "project_paused", "votes.0.assignment")
    assert vote(cast.ada, project, first, "cat").status_code == 200, "the repeat of a stored vote is still stored"
    refused(vote(cast.ada, project, first, "dog"), 409, "vote_conflict", "votes.0.assignment")
    assert stored(db, second) == []

    assert cast.mary.ok("POST", f"/api/projects/{project}/resume")["status"] == "active"
    assert vote(cast.ada, project, second, "cat").status_code == 200


@pytest.mark.parametrize("count", [0, -1, 1001, 10_000, 10**30, "many", True, None, 1.5, [1]])
def test_one_asks_for_1_to_1000_tasks(count: Any, cast: Cast, project: int, db: Database) -> None:
    before = db.holds(project)
    refused(cast.bob.post(f"/api/projects/{project}/assignments", {"count": count}), 400, "invalid", "count")
    assert db.holds(project) == before


def test_nobody_hoards_more_than_the_100_tasks_that_a_project_allows_at_first(cast: Cast, db: Database) -> None:
    project = create_project(cast.mary, name="Hoarding")
    enrol(cast.mary, project, cast.ada, "annotator")
    upload(cast.mary, project, [{"data": {"n": i}} for i in range(150)])

    first = lease(cast.ada, project, 1000)
    again = lease(cast.ada, project, 1000)

    assert [task["id"] for task in again] == [task["id"] for task in first], "what one holds comes first"
    assert len({task["id"] for task in first}) == 100
    assert db.one("SELECT sum(leases) FROM projects_taskstate WHERE project_id = %s", project) == 100


def test_a_gold_task_looks_like_any_other_to_its_annotator(cast: Cast) -> None:
    """Same keys, same types, same length, same headers; nowhere a task id, a key, a gold label or a posterior."""
    project = create_project(cast.mary, name="Gold in disguise")
    enrol(cast.mary, project, cast.ada, "annotator")
    data = [{"text": f"No. {i}"} for i in range(10, 20)]
    gold = [{"gold": "cat", "key": f"secretkey{i}"} if i % 2 else {"key": f"secretkey{i}"} for i in range(10)]
    upload(cast.mary, project, [{"data": d, **g} for d, g in zip(data, gold, strict=True)])
    tasks = {task["data"]["text"]: task for task in cast.mary.pages(f"/api/projects/{project}/tasks")}
    path = f"/api/projects/{project}"

    seen: dict[str, set[tuple[Any, ...]]] = {"gold": set(), "plain": set()}
    pages = []
    for _ in range(10):
        leased = cast.ada.post(f"{path}/assignments", {"count": 1})
        (assignment,) = leased.json()["assignments"]
        assert set(leased.json()) == {"assignments", "status"} and set(assignment) == {"id", "data", "expires_at"}
        assert uuid.UUID(assignment["id"]).version == 4
        voted = vote(cast.ada, project, assignment["id"], "dog")  # wrong, where there is gold
        progress = cast.ada.get(f"{path}/me")
        kind = "gold" if tasks[assignment["data"]["text"]]["gold"] else "plain"
        for response in (leased, voted, progress):
            pages.append(response.text)
            headers = sorted(name for name in response.headers if name != "date")
            text = re.sub(r'[0-9a-f-]{36}|"expires_at":"[^"]*"|"votes(_today)?":\d+', "…", response.text)
            text = re.sub(r"No\. \d\d", "No.", text)
            seen[kind].add((response.request.url.path, response.status_code, tuple(headers), text))
    assert seen["gold"] == seen["plain"]

    pages.append(cast.ada.get(path).text)
    for text in pages:
        for word in ("secretkey", "gold", "posterior", "confidence", "redundancy", "priority", '"task"', "skill"):
            assert word not in text, word


def test_what_each_role_sees_of_a_project(cast: Cast, project: int) -> None:
    path = f"/api/projects/{project}"
    assert set(cast.ada.ok("GET", path)) == {"id", "name", "labels", "instructions", "label_type", "status", "role"}
    assert set(cast.cole.ok("GET", path)) == {"id", "name", "labels", "status", "role"}
    assert "target_confidence" in cast.mary.ok("GET", path)
    listed = next(row for row in cast.ada.pages("/api/projects") if row["id"] == project)
    assert listed == cast.ada.ok("GET", path)
