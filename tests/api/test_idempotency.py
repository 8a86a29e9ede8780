"""`Idempotency-Key`: the same request again answers what it answered, and does nothing."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

import httpx
import pytest

from tests.api.support import JSON, Cast, Database, at_once, enrol, refused
from tests.support.client import Client, create_project, lease, upload, wait_for


@pytest.fixture
def project(cast: Cast) -> int:
    """Twenty tasks of Mary's, which Ada and Bob annotate."""
    number = create_project(cast.mary, name="Sent again", redundancy=2)
    for person in (cast.ada, cast.bob):
        enrol(cast.mary, number, person, "annotator")
    upload(cast.mary, number, [{"data": {"n": n}} for n in range(20)])
    return number


def new_key() -> str:
    return str(uuid.uuid4())


def post(client: Client, path: str, json: Any, key: str, **more: Any) -> httpx.Response:
    return client.request("POST", path, json=json, headers={"Idempotency-Key": key}, **more)


def assert_replayed(first: httpx.Response, again: httpx.Response) -> None:
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert (again.status_code, again.content) == (first.status_code, first.content)
    ours = {"date", "idempotency-replayed"}
    assert {n: v for n, v in again.headers.items() if n not in ours} == {
        n: v for n, v in first.headers.items() if n not in ours
    }


def test_every_keyed_write_is_answered_again_byte_for_byte_and_done_once(
    cast: Cast, project: int, db: Database
) -> None:
    held = [task["id"] for task in lease(cast.ada, project, 4)]
    p = f"/api/projects/{project}"
    vote = {"votes": [{"assignment": held[0], "label": "cat"}, {"assignment": new_key(), "label": "dog"}]}
    writes: list[tuple[Client, str, Any]] = [
        (cast.ada, f"{p}/votes", vote),
        (cast.ada, f"{p}/votes?next=5", {"votes": [{"assignment": held[1], "label": "dog"}]}),
        (cast.bob, f"{p}/assignments", {"count": 3}),
        (cast.ada, f"{p}/assignments/{held[2]}/renew", None),
        (cast.ada, f"{p}/assignments/{held[2]}/skip", {"reason": "broken"}),
        (cast.ada, f"{p}/assignments/{held[3]}/release", None),
        (cast.mary, "/api/projects", {"name": "Made once", "labels": ["cat", "dog"]}),
    ]
    for client, path, json in writes:
        key = new_key()
        first = post(client, path, json, key)
        assert first.status_code in (200, 201, 207), first.text
        before = db.holds(project), db.one("SELECT count(*) FROM projects_project")
        assert_replayed(first, post(client, path, json, key))
        assert (db.holds(project), db.one("SELECT count(*) FROM projects_project")) == before


def test_an_edit_sent_again_is_no_edit_of_an_old_version(cast: Cast, project: int) -> None:
    edit = {"json": {"version": 1, "name": "Edited"}, "headers": {"Idempotency-Key": new_key()}}
    first = cast.mary.request("PATCH", f"/api/projects/{project}", **edit)
    assert first.json()["version"] == 2
    assert_replayed(first, cast.mary.request("PATCH", f"/api/projects/{project}", **edit))


def test_a_refusal_is_answered_again_too(cast: Cast, project: int) -> None:
    key, path = new_key(), f"/api/projects/{project}/assignments"
    cast.mary.ok("POST", f"/api/projects/{project}/pause")
    first = post(cast.ada, path, {"count": 1}, key)
    refused(first, 409, "project_paused")
    cast.mary.ok("POST", f"/api/projects/{project}/resume")

    assert_replayed(first, post(cast.ada, path, {"count": 1}, key))
    assert post(cast.ada, path, {"count": 1}, new_key()).status_code == 200


def test_the_same_key_with_another_request_is_refused(cast: Cast, project: int, db: Database) -> None:
    key, path = new_key(), f"/api/projects/{project}/assignments"
    first = post(cast.ada, path, {"count": 1}, key)
    before = db.holds(project)

    refused(post(cast.ada, path, {"count": 2}, key), 422, "idempotency_key_reused")
    refused(post(cast.ada, f"{path}?x=1", {"count": 1}, key), 422, "idempotency_key_reused")

    assert db.holds(project) == before
    assert_replayed(first, post(cast.ada, path, {"count": 1}, key))


def test_a_key_is_its_users_and_its_paths_own(cast: Cast, project: int) -> None:
    key, path = new_key(), f"/api/projects/{project}/assignments"
    adas, bobs = (post(person, path, {"count": 1}, key) for person in (cast.ada, cast.bob))
    assert "idempotency-replayed" not in bobs.headers
    assert adas.json()["assignments"] != bobs.json()["assignments"]
    other = create_project(cast.mary, name="Another path")
    enrol(cast.mary, other, cast.ada, "annotator")
    answer = post(cast.ada, f"/api/projects/{other}/assignments", {"count": 1}, key)
    assert answer.json() == {"assignments": [], "status": "finished"}


def test_of_the_same_request_eight_times_at_once_one_does_the_work(cast: Cast, db: Database) -> None:
    for _ in range(5):
        key, name = new_key(), new_key()
        create = partial(post, cast.mary, "/api/projects", {"name": name, "labels": ["cat", "dog"]}, key)

        answers = at_once([create] * 8)

        assert db.one("SELECT count(*) FROM projects_project WHERE name = %s", name) == 1
        done = [answer for answer in answers if answer.status_code == 201]
        assert len({answer.content for answer in done}) == 1
        assert [answer.headers.get("idempotency-replayed") for answer in done].count(None) == 1
        for answer in answers:
            if answer.status_code != 201:
                refused(answer, 409, "idempotency_key_in_progress")
        assert create().content == done[0].content


CLAIMED = """
INSERT INTO projects_idempotencykey (user_id, path, key, digest, claimed_at)
SELECT user_id, path, %s, digest, now() - %s::interval FROM projects_idempotencykey WHERE key = %s
"""


def test_a_request_whose_work_was_killed_is_done_by_whoever_sends_it_again_some_minutes_later(
    cast: Cast, project: int, db: Database
) -> None:
    """What a kill -9 leaves: a key without an answer."""
    path, done, young, old = f"/api/projects/{project}/assignments", new_key(), new_key(), new_key()
    post(cast.ada, path, {"count": 1}, done)
    db.rows(CLAIMED, young, "1 second", done)
    db.rows(CLAIMED, old, "3 minutes", done)

    refused(post(cast.ada, path, {"count": 1}, young), 409, "idempotency_key_in_progress")
    refused(post(cast.ada, path, {"count": 2}, young), 422, "idempotency_key_reused")
    answer = post(cast.ada, path, {"count": 1}, old)

    assert answer.status_code == 200 and "idempotency-replayed" not in answer.headers
    assert_replayed(answer, post(cast.ada, path, {"count": 1}, old))


def test_the_sweeper_forgets_a_key_after_a_day(cast: Cast, project: int, db: Database) -> None:
    path, old, young = f"/api/projects/{project}/assignments", new_key(), new_key()
    for key in (old, young):
        post(cast.ada, path, {"count": 1}, key)
    age = "UPDATE projects_idempotencykey SET claimed_at = now() - %s::interval WHERE key = %s"
    db.rows(age, "24 hours 1 second", old)
    db.rows(age, "23 hours 59 minutes", young)

    count = "SELECT count(*) FROM projects_idempotencykey WHERE key = %s"
    wait_for(lambda: db.one(count, old) == 0, what="the sweeper")

    assert db.one(count, young) == 1
    assert post(cast.ada, path, {"count": 1}, young).headers["idempotency-replayed"] == "true"


def test_a_request_without_a_key_leaves_none(cast: Cast, project: int, db: Database) -> None:
    before = db.one("SELECT count(*) FROM projects_idempotencykey WHERE path LIKE %s", f"/api/projects/{project}/%")
    lease(cast.ada, project, 2)
    after = db.one("SELECT count(*) FROM projects_idempotencykey WHERE path LIKE %s", f"/api/projects/{project}/%")
    assert before == after == 0


@pytest.mark.parametrize("key", ["", "two words", "x" * 256, "kéy".encode("latin-1")])
def test_a_key_that_is_none_is_refused(key: Any, cast: Cast, project: int, db: Database) -> None:
    before = db.holds(project)
    response = cast.ada.request(
        "POST", f"/api/projects/{project}/assignments", content=b"{}", headers={**JSON, "Idempotency-Key": key}
    )
    refused(response, 400, "invalid_idempotency_key", "Idempotency-Key")
    assert db.holds(project) == before


def test_a_key_on_an_absurd_path_is_no_matter(cast: Cast) -> None:
    refused(post(cast.ada, f"/api/projects/{'9' * 400}/assignments", {"count": 1}, new_key()), 404, "not_found")
