"""`POST …/votes?next=k`: votes and the next leases in one round trip."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from tests.api.support import Cast, Database, codes, enrol, refused
from tests.support.client import Client, create_project, lease, upload, vote


@pytest.fixture
def project(cast: Cast) -> int:
    """Ten tasks of Mary's, which Ada and Bob annotate."""
    number = create_project(cast.mary, name="In one round trip", redundancy=2)
    for person in (cast.ada, cast.bob):
        enrol(cast.mary, number, person, "annotator")
    upload(cast.mary, number, [{"data": {"n": n}} for n in range(10)])
    return number


def vote_next(annotator: Client, project: int, count: Any, *given: tuple[str, str]) -> httpx.Response:
    entries = [{"assignment": assignment, "label": label} for assignment, label in given]
    return annotator.post(f"/api/projects/{project}/votes", {"votes": entries}, params={"next": count})


def test_votes_and_the_next_leases_come_in_one_round_trip(cast: Cast, project: int) -> None:
    (first,) = lease(cast.ada, project)
    seen = [first["data"]["n"]]
    held = first["id"]
    for _ in range(9):
        answer = vote_next(cast.ada, project, 1, (held, "cat"))
        assert answer.status_code == 200
        assert answer.json()["results"] == [{"assignment": held, "status": "counted"}]
        assert answer.json()["status"] == "ok"
        (following,) = answer.json()["assignments"]
        assert set(following) == {"id", "data", "expires_at"}
        seen.append(following["data"]["n"])
        held = following["id"]
    assert sorted(seen) == list(range(10))

    last = vote_next(cast.ada, project, 1, (held, "cat")).json()

    assert last == {"results": [{"assignment": held, "status": "counted"}], "assignments": [], "status": "finished"}


def test_what_one_still_holds_counts_among_the_next(cast: Cast, project: int) -> None:
    first, second, third = (task["id"] for task in lease(cast.ada, project, 3))

    answer = vote_next(cast.ada, project, 3, (first, "cat")).json()

    assert [task["id"] for task in answer["assignments"][:2]] == [second, third]
    assert len(answer["assignments"]) == 3
    again = vote_next(cast.ada, project, 3, (first, "cat")).json()
    assert again == answer, "whoever lost the answer gets it again"


def test_without_next_or_with_none_of_them_nothing_is_leased(cast: Cast, project: int, db: Database) -> None:
    first, second = (task["id"] for task in lease(cast.ada, project, 2))

    assert vote(cast.ada, project, first, "cat").json() == {"results": [{"assignment": first, "status": "counted"}]}
    answer = vote_next(cast.ada, project, 0, (second, "cat")).json()

    assert (answer["assignments"], answer["status"]) == ([], "ok")
    assert db.holds(project)["assignment"] == 2


def test_where_some_votes_are_refused_the_next_leases_come_nevertheless(cast: Cast, project: int) -> None:
    (held,) = (task["id"] for task in lease(cast.ada, project))

    answer = vote_next(cast.ada, project, 2, (held, "cat"), (str(uuid.uuid4()), "dog"))

    assert answer.status_code == 207
    assert [result["status"] for result in answer.json()["results"]] == ["counted", "error"]
    assert len(answer.json()["assignments"]) == 2


def test_where_no_vote_is_stored_nothing_is_leased(cast: Cast, project: int, db: Database) -> None:
    (held,) = (task["id"] for task in lease(cast.ada, project))
    before = db.holds(project)

    refused(vote_next(cast.ada, project, 5, (held, "cow")), 400, "unknown_label", "votes.0.label")

    assert db.holds(project) == before


def test_a_pause_in_between_takes_no_acknowledgement_back(cast: Cast, project: int) -> None:
    (held,) = (task["id"] for task in lease(cast.ada, project))
    assert vote(cast.ada, project, held, "cat").status_code == 200
    cast.mary.ok("POST", f"/api/projects/{project}/pause")

    answer = vote_next(cast.ada, project, 1, (held, "cat"))

    assert answer.status_code == 200
    assert answer.json() == {
        "results": [{"assignment": held, "status": "counted"}], "assignments": [], "status": "waiting",
    }  # fmt: skip


@pytest.mark.parametrize("count", ["-1", "101", "10000", "many", "", "1.5", "٣", "9" * 400])
def test_next_is_a_number_from_0_to_100_or_nothing_is_stored(
    count: str, cast: Cast, project: int, db: Database
) -> None:
    (held,) = (task["id"] for task in lease(cast.ada, project))
    before = db.holds(project)

    body = refused(vote_next(cast.ada, project, count, (held, "cat")), 400, "invalid_next", "next")

    assert codes(body) == ["invalid_next"]
    assert db.holds(project) == before
