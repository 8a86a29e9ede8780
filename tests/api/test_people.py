"""Quotas, pools and qualification over HTTP."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from projects import errors, serializers
from tests.api.support import CSV, Cast, codes, enrol, refused
from tests.support.client import Client, create_project, lease, upload, vote

PAGE = (Path(__file__).resolve().parents[2] / "docs/people.md").read_text()


def make(cast: Cast, tasks: int = 3, **settings: Any) -> tuple[int, str, int]:
    """A project that Ada annotates, its path, and her number in it."""
    project = create_project(cast.mary, redundancy=2, **settings)
    if tasks:
        upload(cast.mary, project, [{"data": {"n": n}} for n in range(tasks)])
    return project, f"/api/projects/{project}", enrol(cast.mary, project, cast.ada, "annotator")


def ask(person: Client, path: str, count: int = 9) -> Any:
    return person.ok("POST", f"{path}/assignments", {"count": count})


def entry_tasks(number: int) -> list[dict[str, Any]]:
    return [{"data": {"n": 100 + n}, "gold": "dog", "qualification": True} for n in range(number)]


def give(person: Client, path: str, label: str, *, next_: int = 0) -> Any:
    """Take one task, answer it, and see what came of it."""
    (given,) = ask(person, path, 1)["assignments"]
    votes = {"votes": [{"assignment": given["id"], "label": label}]}
    answer = person.ok("POST", f"{path}/votes?next={next_}", votes)
    (result,) = answer.pop("results")
    assert result.pop("assignment") == given["id"]
    return {**result, "next": answer}


def test_a_reached_quota_says_when_there_is_more(cast: Cast) -> None:
    project, path, _ = make(cast, daily_quota=1)
    (only,) = lease(cast.ada, project, 5)
    answer = cast.ada.ok("POST", f"{path}/votes?next=5", {"votes": [{"assignment": only["id"], "label": "cat"}]})

    assert (answer["assignments"], answer["status"]) == ([], "quota_reached")
    resets_at = datetime.fromisoformat(answer["resets_at"])
    assert (resets_at.hour, resets_at.minute, resets_at.second) == (0, 0, 0)
    again = ask(cast.ada, path)
    assert again == {"assignments": [], "status": "quota_reached", "resets_at": answer["resets_at"]}
    progress = cast.ada.ok("GET", f"{path}/me")
    assert (progress["votes_today"], progress["daily_quota"], progress["total_quota"]) == (1, 1, None)


def test_a_total_quota_never_begins_anew(cast: Cast) -> None:
    project, path, _ = make(cast, total_quota=1)
    vote(cast.ada, project, lease(cast.ada, project)[0]["id"], "cat")
    assert ask(cast.ada, path) == {"assignments": [], "status": "quota_reached", "resets_at": None}


@pytest.mark.parametrize(
    ("wrong", "field", "code"),
    [
        ({"daily_quota": 0}, "daily_quota", "min_value"),
        ({"total_quota": 0}, "total_quota", "min_value"),
        ({"daily_quota": 10**400}, "daily_quota", "max_value"),
        ({"training_tasks": -1}, "training_tasks", "min_value"),
        ({"test_tasks": 1001}, "test_tasks", "max_value"),
        ({"test_tasks": None}, "test_tasks", "null"),
        ({"pass_mark": 1.01}, "pass_mark", "max_value"),
        ({"pass_mark": "NaN"}, "pass_mark", "invalid"),
        ({"test_attempts": 0}, "test_attempts", "min_value"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(
    cast: Cast, wrong: dict[str, Any], field: str, code: str
) -> None:
    response = cast.mary.post("/api/projects", {"name": "x", "labels": ["cat", "dog"], **wrong})
    assert codes(refused(response, 400, "invalid", field))[0] == code


def test_a_pool_is_open_to_whoever_has_its_tag(cast: Cast) -> None:
    _, path, ada = make(cast, tasks=0)
    upload(cast.mary, int(path.rpartition("/")[2]), [{"data": {"n": 1}, "pool": "german"}])
    assert ask(cast.ada, path)["status"] == "finished"
    assert cast.mary.ok("GET", f"{path}/statistics")["pools"] == [{"pool": "german", "open": 1, "members": 0}]

    edited = cast.mary.ok("PATCH", f"{path}/members/{ada}", {"tags": ["german", "german"]})

    assert (edited["tags"], edited["role"]) == (["german"], "annotator")
    assert [given["data"] for given in ask(cast.ada, path)["assignments"]] == [{"n": 1}]
    assert cast.mary.ok("GET", f"{path}/statistics")["pools"] == [{"pool": "german", "open": 1, "members": 1}]
    assert [task["pool"] for task in cast.mary.pages(f"{path}/tasks")] == ["german"]


def test_an_invite_brings_its_tags(cast: Cast) -> None:
    _, path, _ = make(cast)
    made = cast.mary.ok("POST", f"{path}/invites", {"role": "annotator", "tags": ["german"]})
    assert made["tags"] == ["german"]
    cast.bob.ok("POST", "/api/join", {"invite": made["link"].partition("#")[2]})
    assert [member["tags"] for member in cast.mary.pages(f"{path}/members")] == [[], [], ["german"]]


@pytest.mark.parametrize("tag", ["", " german", "german ", "#german", "a\tb", "x" * 51, 5, None])
def test_what_no_tag_can_be_is_refused_wherever_it_is_given(cast: Cast, tag: Any) -> None:
    _, path, ada = make(cast, tasks=0)
    for response in (
        cast.mary.patch(f"{path}/members/{ada}", {"tags": [tag]}),
        cast.mary.post(f"{path}/invites", {"role": "annotator", "tags": [tag]}),
    ):
        refused(response, 400, "invalid", "tags.0")
    if tag is not None:
        body = refused(
            cast.mary.post(f"{path}/tasks", [{"data": {}, "pool": tag}]), 400, "invalid_tasks", "item 1.pool"
        )
        assert codes(body) == ["invalid_pool"]


def test_pools_and_qualification_are_columns_of_a_csv_file(cast: Cast) -> None:
    _, path, _ = make(cast, tasks=0)
    file = b"key,text,pool,gold,qualification\na,x,german,,\nb,y,,dog,true\nc,z,,,no\n"
    sent = cast.mary.post(f"{path}/tasks", content=file, headers=CSV)
    assert sent.json() == {"created": 3, "already_there": 0, "gold": 1}
    found = {task["key"]: task for task in cast.mary.pages(f"{path}/tasks")}
    assert {key: (task["pool"], task["gold_origin"], task["data"]) for key, task in found.items()} == {
        "a": ("german", None, {"text": "x"}),
        "b": ("#qualification", "qualification", {"text": "y"}),
        "c": ("", None, {"text": "z"}),
    }
    assert cast.mary.post(f"{path}/tasks", content=file, headers=CSV).json()["already_there"] == 3
    moved = file.replace(b"german", b"french")
    body = refused(cast.mary.post(f"{path}/tasks", content=moved, headers=CSV), 400, "invalid_tasks", "line 2.pool")
    assert codes(body) == ["task_conflict"]


@pytest.mark.parametrize(
    ("task", "field", "code"),
    [
        ({"qualification": True}, "gold", "missing"),
        ({"qualification": True, "gold": "dog", "pool": "german"}, "pool", "qualification"),
        ({"qualification": True, "gold": "dog", "redundancy": 3}, "redundancy", "qualification"),
        ({"qualification": "yes", "gold": "dog"}, "qualification", "invalid_qualification"),
        ({"qualification": None}, "qualification", "invalid_qualification"),
    ],
)
def test_a_task_for_qualification_needs_gold_and_nothing_else(
    cast: Cast, task: dict[str, Any], field: str, code: str
) -> None:
    _, path, _ = make(cast, tasks=0)
    body = refused(cast.mary.post(f"{path}/tasks", [{"data": {}, **task}]), 400, "invalid_tasks", f"item 1.{field}")
    assert codes(body) == [code]


def test_from_training_through_the_test_to_the_tasks_themselves(cast: Cast) -> None:
    project, path, _ = make(cast, training_tasks=2, test_tasks=1)
    upload(cast.mary, project, entry_tasks(3))
    assert ask(cast.ada, path, 1)["qualification"] == {"stage": "training", "answered": 0, "of": 2}

    wrong = give(cast.ada, path, "cat", next_=1)
    assert wrong["feedback"] == {"right": False, "label": "dog"}
    assert wrong["next"]["qualification"] == {"stage": "training", "answered": 1, "of": 2}
    right = give(cast.ada, path, "dog", next_=1)
    assert (right["status"], right["feedback"]) == ("qualification", {"right": True, "label": "dog"})
    assert right["next"]["qualification"] == {"stage": "test", "answered": 0, "of": 1}

    last = give(cast.ada, path, "dog", next_=3)

    assert (last["status"], "feedback" in last) == ("qualification", False)
    assert "qualification" not in last["next"]
    assert sorted(given["data"]["n"] for given in last["next"]["assignments"]) == [0, 1, 2]
    assert give(cast.ada, path, "cat")["status"] == "counted"


def test_who_fails_is_told_and_a_manager_sees_it_and_may_decide_otherwise(cast: Cast) -> None:
    project, path, ada = make(cast, test_tasks=1)
    upload(cast.mary, project, entry_tasks(1))
    failed = give(cast.ada, path, "cat", next_=1)["next"]
    assert failed == {
        "assignments": [],
        "status": "not_qualified",
        "qualification": {"stage": "failed", "answered": 1, "of": 1, "right": 0},
    }
    seen = next(member for member in cast.mary.pages(f"{path}/members") if member["id"] == ada)
    assert (seen["stage"], seen["stage_answers"], seen["stage_right"], seen["tests"]) == ("failed", 1, 0, 1)
    assert (seen["votes"], seen["uncounted_votes"]) == (0, 0)
    entry = cast.mary.ok("GET", f"{path}/statistics")["qualification"]
    assert (entry["tasks"], entry["wanted"], entry["members"]["failed"]) == (1, 1, 1)

    refused(cast.ada.patch(f"{path}/members/{ada}", {"stage": "qualified"}), 404, "not_found")
    assert cast.mary.ok("PATCH", f"{path}/members/{ada}", {"stage": "qualified"})["stage"] == "qualified"

    assert ask(cast.ada, path)["status"] == "ok"


def test_a_task_of_a_test_can_not_be_skipped(cast: Cast) -> None:
    project, path, _ = make(cast, test_tasks=1)
    upload(cast.mary, project, entry_tasks(1))
    (given,) = ask(cast.ada, path)["assignments"]
    refused(cast.ada.post(f"{path}/assignments/{given['id']}/skip"), 409, "must_be_answered")


def test_an_edit_of_a_member_says_what_is_wrong_with_it(cast: Cast) -> None:
    _, path, ada = make(cast)
    refused(cast.mary.patch(f"{path}/members/{ada}", {}), 400, "invalid", "body")
    refused(cast.mary.patch(f"{path}/members/{ada}", {"stage": "expert"}), 400, "invalid", "stage")
    refused(cast.mary.patch(f"{path}/members/{ada}", {"tags": [f"a{n}" for n in range(21)]}), 400, "invalid", "tags")
    for changes in ({"tags": []}, {"stage": "failed"}, {"role": "consumer"}):
        refused(cast.mary.patch(f"{path}/members/999999", changes), 404, "not_found")


def test_the_page_about_people_names_settings_answers_and_errors_as_they_are(cast: Cast) -> None:
    _, path, _ = make(cast, tasks=0)
    settings = cast.mary.ok("GET", path)
    defaults = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", PAGE, re.MULTILINE))
    assert defaults == {
        name: f"{settings[name]:g}" for name in ("training_tasks", "test_tasks", "pass_mark", "test_attempts")
    }
    assert {name: settings[name] for name in ("daily_quota", "total_quota")} == {
        "daily_quota": None,
        "total_quota": None,
    }
    assert all(f"`{name}`" in PAGE for name in ("daily_quota", "total_quota", errors.LateVoteNoQuota.code))
    assert {status for status in serializers.LEASE_STATUSES if status in PAGE} >= {"quota_reached", "not_qualified"}
