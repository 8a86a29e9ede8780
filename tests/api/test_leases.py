"""What an annotator can do with an assignment beside voting, and what a late vote is told."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.api.support import Cast, Database, codes, enrol, refused
from tests.support.client import Client, create_project, lease, upload, vote, wait_for


@pytest.fixture
def project(cast: Cast) -> int:
    """Three tasks of Mary's for one vote each; Ada and Bob annotate."""
    number = create_project(cast.mary, name="Leased", redundancy=1, max_skips=2)
    for person in (cast.ada, cast.bob):
        enrol(cast.mary, number, person, "annotator")
    upload(cast.mary, number, [{"key": f"{n}", "data": {"n": n}} for n in range(3)])
    return number


def act(person: Client, project: int, assignment: str, verb: str, body: Any = None) -> Any:
    return person.post(f"/api/projects/{project}/assignments/{assignment}/{verb}", body)


def tasks(cast: Cast, project: int) -> list[dict[str, Any]]:
    return list(cast.mary.pages(f"/api/projects/{project}/tasks"))


def let_expire(db: Database, assignment: str) -> None:
    db.rows("UPDATE projects_assignment SET expires_at = now() - interval '1 second' WHERE id = %s", assignment)
    status = "SELECT status FROM projects_assignment WHERE id = %s"
    wait_for(lambda: db.one(status, assignment) == "expired", what="the sweeper")


def test_a_lease_is_renewed_by_the_databases_clock(cast: Cast, project: int, db: Database) -> None:
    (held,) = lease(cast.ada, project)
    db.rows("UPDATE projects_assignment SET expires_at = now() + interval '20 seconds' WHERE id = %s", held["id"])

    answer = act(cast.ada, project, held["id"], "renew").json()

    assert answer["assignment"] == held["id"] and answer["expires_at"] > held["expires_at"]
    left = "SELECT extract(epoch FROM expires_at - now()) BETWEEN 590 AND 600 FROM projects_assignment WHERE id = %s"
    assert db.one(left, held["id"])
    assert lease(cast.ada, project)[0]["expires_at"] == answer["expires_at"]


def test_what_has_ended_can_neither_be_renewed_nor_skipped(cast: Cast, project: int, db: Database) -> None:
    (held,) = lease(cast.ada, project)
    let_expire(db, held["id"])
    refused(act(cast.ada, project, held["id"], "renew"), 409, "assignment_expired")
    refused(act(cast.ada, project, held["id"], "skip"), 409, "assignment_expired")
    assert act(cast.ada, project, held["id"], "release").json() == {"assignment": held["id"], "status": "released"}


def test_a_released_task_goes_to_whoever_asks_next(cast: Cast, project: int) -> None:
    held = lease(cast.ada, project, 3)
    assert cast.bob.ok("POST", f"/api/projects/{project}/assignments", {"count": 1})["status"] == "waiting"

    for _ in range(2):
        answer = act(cast.ada, project, held[1]["id"], "release")
        assert answer.json() == {"assignment": held[1]["id"], "status": "released"}

    (given,) = lease(cast.bob, project)
    assert given["data"] == held[1]["data"]
    refused(vote(cast.ada, project, held[1]["id"], "cat"), 409, "assignment_closed", "votes.0.assignment")
    refused(act(cast.ada, project, held[1]["id"], "renew"), 409, "assignment_closed")
    assert act(cast.bob, project, given["id"], "release").status_code == 200
    (again,) = lease(cast.ada, project, 3)[2:]
    assert again["data"] == held[1]["data"] and again["id"] != held[1]["id"]


@pytest.mark.parametrize("verb", ["renew", "release", "skip"])
def test_somebody_elses_assignment_is_not_there(verb: str, cast: Cast, project: int, db: Database) -> None:
    (held,) = lease(cast.ada, project)
    row = "SELECT to_jsonb(a) FROM projects_assignment a WHERE id = %s"
    before = db.one(row, held["id"])
    refused(act(cast.bob, project, held["id"], verb), 404, "unknown_assignment")
    refused(act(cast.ada, project, str(uuid.uuid4()), verb), 404, "unknown_assignment")
    assert db.one(row, held["id"]) == before


def test_managers_see_why_tasks_were_skipped(cast: Cast, project: int, db: Database) -> None:
    first, second, third = (task["id"] for task in lease(cast.ada, project, 3))
    assert act(cast.ada, project, first, "skip", {"reason": "broken", "comment": "No picture."}).status_code == 200
    assert act(cast.ada, project, second, "skip").status_code == 200
    assert act(cast.ada, project, third, "skip", {"reason": "unclear"}).status_code == 200

    none = {"unclear": 0, "broken": 0, "not_for_me": 0}
    seen = {task["data"]["n"]: task["skips"] for task in tasks(cast, project)}
    assert sorted(seen.values(), key=str) == sorted([none | {r: 1} for r in none], key=str)
    assert db.one("SELECT skip_comment FROM projects_assignment WHERE id = %s", first) == "No picture."

    for task in lease(cast.bob, project, 3):
        assert act(cast.bob, project, task["id"], "skip", {"reason": "unclear"}).status_code == 200
    after = {task["data"]["n"]: (task["retired"], sum(task["skips"].values())) for task in tasks(cast, project)}
    assert sorted(after.values(), key=str) == [("flagged", 2), ("flagged", 2), (None, 2)]
    statistics = cast.mary.ok("GET", f"/api/projects/{project}/statistics")
    assert (statistics["retired"], statistics["open"]) == ({"flagged": 2}, 1)


@pytest.mark.parametrize(
    ("given", "field", "code"),
    [
        ({"reason": "boring"}, "reason", "invalid_choice"),
        ({"reason": None}, "reason", "null"),
        ({"comment": "x" * 1001}, "comment", "max_length"),
        ({"comment": "a\0"}, "comment", "null_characters_not_allowed"),
        ({"task": 1}, "task", "unknown_field"),
    ],
)
def test_a_wrong_skip_is_refused_by_its_field(
    given: dict[str, Any], field: str, code: str, cast: Cast, project: int, db: Database
) -> None:
    (held,) = lease(cast.ada, project)
    assert codes(refused(act(cast.ada, project, held["id"], "skip", given), 400, "invalid", field)) == [code]
    assert db.one("SELECT status FROM projects_assignment WHERE id = %s", held["id"]) == "open"


def test_a_late_vote_is_counted_or_told_that_it_is_not(cast: Cast, project: int, db: Database) -> None:
    first, second = lease(cast.ada, project, 2)
    for late in (first, second):
        let_expire(db, late["id"])
    assert vote(cast.ada, project, first["id"], "cat").json()["results"][0]["status"] == "counted"
    for task in lease(cast.bob, project, 2):
        assert vote(cast.bob, project, task["id"], "dog").status_code == 200

    answers = [vote(cast.ada, project, second["id"], "cat") for _ in range(2)]

    for answer in answers:
        refused(answer, 409, "late_vote_no_room", "votes.0.assignment")
    assert answers[0].content == answers[1].content
    refused(vote(cast.ada, project, second["id"], "dog"), 409, "vote_conflict", "votes.0.assignment")
    assert [row["uncounted_votes"] for row in tasks(cast, project)].count(1) == 1
    statistics = cast.mary.ok("GET", f"/api/projects/{project}/statistics")
    assert (statistics["votes"], statistics["uncounted_votes"]) == (3, 1)
    members = cast.mary.pages(f"/api/projects/{project}/members")
    votes = {member["name"]: (member["votes"], member["uncounted_votes"]) for member in members}
    assert votes["ada.of.api"] == (1, 1) and votes["bob.of.api"] == (2, 0)
    assert cast.ada.ok("GET", f"/api/projects/{project}/me")["votes"] == 1


def test_an_assignment_of_a_project_that_was_left_is_worth_nothing(cast: Cast, project: int, new_link: Any) -> None:
    """The replay of an old assignment, and of an old token."""
    (held,) = lease(cast.ada, project)
    member = next(m for m in cast.mary.pages(f"/api/projects/{project}/members") if m["name"] == "ada.of.api")
    cast.mary.ok("DELETE", f"/api/projects/{project}/members/{member['id']}")
    refused(vote(cast.ada, project, held["id"], "cat"), 404, "not_found")
    for verb in ("renew", "release", "skip"):
        refused(act(cast.ada, project, held["id"], verb), 404, "not_found")

    token = cast.bob.ok("POST", "/api/tokens", {"name": "soon revoked"})
    cast.bob.ok("DELETE", f"/api/tokens/{token['id']}")
    with Client(cast.bob.base_url, token["token"]) as old:
        path = f"/api/projects/{project}/assignments"
        keyed = {"Idempotency-Key": str(uuid.uuid4())}
        for headers in ({}, keyed, keyed):
            refused(old.request("POST", path, json={"count": 1}, headers=headers), 401, "invalid_token")


def test_two_tabs_show_the_same_tasks(cast: Cast, project: int) -> None:
    tab, other = lease(cast.ada, project, 2), lease(cast.ada, project, 2)
    assert tab == other
    assert vote(cast.ada, project, tab[0]["id"], "cat").status_code == 200
    refused(vote(cast.ada, project, other[0]["id"], "dog"), 409, "vote_conflict", "votes.0.assignment")


def test_ten_thousand_leases_at_once_are_too_many(cast: Cast, project: int, db: Database) -> None:
    before = db.holds(project)
    body = refused(cast.ada.post(f"/api/projects/{project}/assignments", {"count": 10_000}), 400, "invalid", "count")
    assert codes(body) == ["max_value"] and "1000" in body["errors"][0]["detail"]
    assert db.holds(project) == before


def test_a_projects_own_limit_bounds_what_is_held(cast: Cast) -> None:
    number = create_project(cast.mary, name="Few at a time", max_leases=2)
    enrol(cast.mary, number, cast.ada, "annotator")
    upload(cast.mary, number, [{"data": {"n": n}} for n in range(10)])
    first, second = lease(cast.ada, number, 1000)
    path = f"/api/projects/{number}/votes"
    answer = cast.ada.post(path, {"votes": [{"assignment": first["id"], "label": "cat"}]}, params={"next": 100}).json()
    assert [task["id"] for task in answer["assignments"]][:1] == [second["id"]]
    assert len(answer["assignments"]) == 2
