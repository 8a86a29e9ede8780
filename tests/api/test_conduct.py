"""Rules and sanctions over HTTP."""

from __future__ import annotations

from tests.api.support import Cast, codes, enrol, refused
from tests.support.client import create_project, lease, upload, vote


def test_a_manager_pauses_blocks_and_takes_it_back(cast: Cast) -> None:
    project = create_project(cast.mary)
    upload(cast.mary, project, [{"data": {"n": n}} for n in range(5)])
    member = enrol(cast.mary, project, cast.ada, "annotator")
    path = f"/api/projects/{project}"
    (first,) = lease(cast.ada, project)

    pause = cast.mary.ok("POST", f"{path}/members/{member}/sanctions", {"action": "pause", "reason": "A word, please"})
    assert (pause["by"], pause["rule"], pause["lifted"]) == (
        cast.mary.ok("GET", "/api/session")["user"]["name"],
        None,
        False,
    )
    refused(cast.ada.post(f"{path}/assignments", {"count": 1}), 403, "annotator_paused")
    assert cast.ada.ok("GET", f"{path}/me")["standing"] == "paused"
    answer = cast.ada.post(f"{path}/votes?next=1", {"votes": [{"assignment": first["id"], "label": "cat"}]})
    assert (answer.status_code, answer.json()["assignments"], answer.json()["status"]) == (200, [], "waiting")

    lifted = cast.mary.post(f"{path}/sanctions/{pause['id']}/lift", {"reason": "We talked"})
    assert lifted.status_code == 201 and lifted.json()["lifts"] == pause["id"]
    refused(cast.mary.post(f"{path}/sanctions/{pause['id']}/lift", {}), 409, "already_lifted")
    (second,) = lease(cast.ada, project)

    cast.mary.ok("POST", f"{path}/members/{member}/sanctions", {"action": "discard", "reason": "Enough"})
    refused(vote(cast.ada, project, second["id"], "cat"), 403, "annotator_blocked", "votes.0.assignment")
    assert vote(cast.ada, project, first["id"], "cat").status_code == 200, "a repeat of what was stored before"
    assert {task["votes"] for task in cast.mary.pages(f"{path}/tasks")} == {0}
    (shown,) = [row for row in cast.mary.pages(f"{path}/members") if row["id"] == member]
    assert (shown["standing"], shown["votes"]) == ("blocked", 0)
    record = [(row["action"], row["reason"], row["lifted"]) for row in cast.mary.pages(f"{path}/sanctions")]
    assert record == [("discard", "Enough", False), ("lift", "We talked", False), ("pause", "A word, please", True)]


def test_a_rule_is_made_and_ended(cast: Cast) -> None:
    project = create_project(cast.mary)
    path = f"/api/projects/{project}/rules"
    made = cast.mary.ok(
        "POST", path, {"condition": "gold_upper_bound", "limit": 0.8, "action": "pause", "pause_hours": 24}
    )
    assert (made["minimum"], made["confidence"], made["ended_at"]) == (20, 0.95, None)

    assert cast.mary.delete(f"{path}/{made['id']}").status_code == 204
    refused(cast.mary.delete(f"{path}/{made['id']}"), 404, "not_found")
    (ended,) = cast.mary.pages(path)
    assert ended["ended_at"] is not None


def test_what_makes_no_sense_is_refused_at_its_field(cast: Cast) -> None:
    project = create_project(cast.mary)
    path = f"/api/projects/{project}/rules"
    rule = {"condition": "chance", "limit": 0, "action": "warn"}
    for changes, field, code in (
        ({"limit": 2}, "limit", "max_value"),
        ({"limit": -1}, "limit", "min_value"),
        ({"action": "lift"}, "action", "invalid_choice"),
        ({"pause_hours": 3}, "pause_hours", "only_for_pause"),
        ({"confidence": 1}, "confidence", "max_value"),
        ({"minimum": 0}, "minimum", "min_value"),
    ):
        assert codes(refused(cast.mary.post(path, rule | changes), 400, "invalid", field)) == [code]
    manager = next(iter(cast.mary.pages(f"/api/projects/{project}/members")))["id"]
    warning = {"action": "warn", "reason": "Myself"}
    refused(cast.mary.post(f"/api/projects/{project}/members/{manager}/sanctions", warning), 409, "is_manager")
