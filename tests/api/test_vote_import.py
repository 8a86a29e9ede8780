"""Import of recorded votes: all lines or none, each wrong one by its number, and it can be repeated."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.support import CSV, Cast, Database, codes, enrol, refused
from tests.support.client import create_project, lease, upload, vote

HEADER = b"task,worker,label\n"


def send(cast: Cast, project: int, content: bytes) -> Any:
    return cast.mary.post(f"/api/projects/{project}/votes/import", content=content, headers=CSV)


@pytest.fixture(scope="module")
def recorded(cast: Cast) -> int:
    project = create_project(cast.mary, name="Recorded", redundancy=1)
    upload(cast.mary, project, [{"key": f"t{i}", "data": {"n": i}} for i in range(5)])
    return project


@pytest.mark.parametrize(
    ("content", "field", "code"),
    [
        (HEADER + b"t0,Wim,cat\nt9,Wim,cat\n", "line 3.task", "unknown_task"),
        (HEADER + b"t0,Wim,cow\n", "line 2.label", "unknown_label"),
        (HEADER + b"t0,Wim,\n", "line 2.label", "missing"),
        (HEADER + b",Wim,cat\n", "line 2.task", "missing"),
        (HEADER + b"t0, ,cat\n", "line 2.worker", "missing"),
        (HEADER + b"t0," + b"w" * 201 + b",cat\n", "line 2.worker", "too_long"),
        (HEADER + b"t0\0,Wim,cat\n", "line 2.task", "nul_character"),
        (HEADER + b"t0,Wi\0m,cat\n", "line 2.worker", "nul_character"),
        (HEADER + b"t0,Wim,ca\0t\n", "line 2.label", "nul_character"),
        (HEADER + b"t0,W\xefm,cat\n", "line 2", "not_utf8"),
        (HEADER + b"t0,Wim\n", "line 2", "wrong_columns"),
        (b"task,worker\nt0,Wim\n", "line 2.label", "missing"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_stored(
    content: bytes, field: str, code: str, cast: Cast, recorded: int, db: Database
) -> None:
    before = db.holds(recorded)
    assert codes(refused(send(cast, recorded, content), 400, "invalid_votes", field)) == [code]
    assert db.holds(recorded) == before


def test_a_file_without_votes_says_so(cast: Cast, recorded: int) -> None:
    refused(send(cast, recorded, HEADER), 400, "empty")
    refused(send(cast, recorded, b""), 400, "empty")


def test_recorded_votes_raise_redundancy_and_a_repeat_changes_nothing(cast: Cast, recorded: int, db: Database) -> None:
    file = HEADER + b"t0,Wim,cat\nt0,Wout,dog\nt0,Ward,cat\nt1,Wim,dog\nt0,Wim,dog\r\n"

    assert send(cast, recorded, file).json() == {"imported": 4, "repeated": 1, "annotators": 3}
    first = (
        "SELECT v.answer->>'label' FROM projects_vote v JOIN projects_member m ON m.id = v.annotator_id "
        "JOIN projects_task t ON t.id = v.task_id WHERE m.name = 'Wim' AND t.key = 't0' AND v.project_id = %s"
    )
    assert db.rows(first, recorded) == [("cat",)], "of a repeated vote the first stays"
    before = db.holds(recorded)
    assert send(cast, recorded, file).json() == {"imported": 0, "repeated": 5, "annotators": 0}

    assert db.holds(recorded) == before
    state = {
        task["key"]: (task["votes"], task["redundancy"]) for task in cast.mary.pages(f"/api/projects/{recorded}/tasks")
    }
    assert (state["t0"], state["t1"], state["t2"]) == ((3, 3), (1, 1), (0, 1))
    members = [row["name"] for row in cast.mary.pages(f"/api/projects/{recorded}/members")]
    assert members == ["manager"], "recorded annotators are no people who could sign in"


def test_a_recorded_annotator_is_not_the_member_of_the_same_name(cast: Cast, db: Database) -> None:
    project = create_project(cast.mary, name="Namesakes", redundancy=2)
    enrol(cast.mary, project, cast.ada, "annotator")
    upload(cast.mary, project, [{"key": "t", "data": {}}])
    (assignment,) = lease(cast.ada, project)

    assert send(cast, project, HEADER + b"t,ada.of.api,dog\n").json()["annotators"] == 1

    assert vote(cast.ada, project, assignment["id"], "cat").status_code == 200, "her lease was kept free"
    assert sorted(row["votes"] for row in cast.mary.pages(f"/api/projects/{project}/annotators")) == [1, 1]
