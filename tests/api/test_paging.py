"""Lists: following `next` gives every row exactly once, whatever the size of a page."""

from __future__ import annotations

import pytest

from tests.api.support import CSV, Cast, Database
from tests.support.client import create_project, upload

ROWS = 23


@pytest.fixture(scope="module")
def full(cast: Cast, db: Database) -> int:
    """A project with 23 of everything, and a neighbour whose rows lie in between."""
    project, neighbour = (create_project(cast.mary, name=name) for name in ("Paged", "Neighbour"))
    for i in range(ROWS):
        for number in (project, neighbour):
            upload(cast.mary, number, [{"key": f"k{i}", "data": {"n": i}}])
            run = (
                "INSERT INTO aggregation_run "
                "(project_id, kind, status, parameters, counts, metrics, error, attempts, started_at) "
                "VALUES (%s, %s, 'failed', '{}', '{}', '{}', '', 1, now())"
            )
            db.rows(run, number, ("refit", "retraining")[i % 2])
            cast.mary.ok("POST", f"/api/projects/{number}/invites", {"role": "annotator"})
    db.rows(
        "INSERT INTO projects_prediction (task_id, posterior, run) "
        "SELECT id, '[0.25, 0.75]', 1 FROM projects_task WHERE project_id IN (%s, %s)", project, neighbour,
    )  # fmt: skip
    votes = "task,worker,label\n" + "".join(f"k{i},worker {i},cat\n" for i in range(ROWS))
    for number in (project, neighbour):
        response = cast.mary.post(f"/api/projects/{number}/votes/import", content=votes.encode(), headers=CSV)
        assert response.status_code == 201
    return project


TABLES = {
    "tasks": "SELECT id FROM projects_task WHERE project_id = %s ORDER BY id",
    "runs": "SELECT id FROM aggregation_run WHERE project_id = %s AND status = 'failed' ORDER BY id DESC",
    "annotators": "SELECT id FROM projects_member WHERE project_id = %s AND user_id IS NULL ORDER BY id",
    "predictions": "SELECT id FROM projects_task WHERE project_id = %s ORDER BY id",
    "invites": "SELECT id FROM projects_invite WHERE project_id = %s ORDER BY id",
}


@pytest.mark.parametrize("limit", [1, 2, 22, 23, 24, 1000])
@pytest.mark.parametrize("name", TABLES)
def test_a_walk_sees_every_row_once_and_in_order(name: str, limit: int, full: int, cast: Cast, db: Database) -> None:
    expected = [row[0] for row in db.rows(TABLES[name], full)]
    assert len(expected) == ROWS

    pages, cursor = [], None
    while True:
        parameters = {"limit": limit, **({"cursor": cursor} if cursor else {})}
        page = cast.mary.ok("GET", f"/api/projects/{full}/{name}", params=parameters)
        assert set(page) == {"results", "next"}
        pages.append(page["results"])
        cursor = page["next"]
        if cursor is None:
            break

    walked = [row["task"] if name == "predictions" else row["id"] for page in pages for row in page]
    ours = set(expected)  # a refit of the imported votes may have added a run of its own
    assert [number for number in walked if name != "runs" or number in ours] == expected
    assert len(walked) == len(set(walked))
    assert all(len(page) == limit for page in pages[:-1])
    assert pages[-1], "the last page is never empty"


def test_a_row_that_comes_during_a_walk_is_neither_skipped_nor_doubles_another(full: int, cast: Cast) -> None:
    first = cast.mary.ok("GET", f"/api/projects/{full}/tasks", params={"limit": 20})
    upload(cast.mary, full, [{"key": "late", "data": {}}])
    rest = cast.mary.ok("GET", f"/api/projects/{full}/tasks", params={"limit": 20, "cursor": first["next"]})
    keys = [row["key"] for row in first["results"] + rest["results"]]
    assert keys == [f"k{i}" for i in range(ROWS)] + ["late"]


def test_the_list_of_ones_projects_and_tokens_is_paged_too(cast: Cast) -> None:
    for path in ("/api/projects", "/api/tokens"):
        everything = [row["id"] for row in cast.mary.pages(path)]
        assert [row["id"] for row in cast.mary.pages(path, limit=2)] == everything
        assert len(everything) == len(set(everything))


def test_a_page_is_50_rows_unless_asked_otherwise(cast: Cast) -> None:
    project = create_project(cast.mary, name="Fifty")
    upload(cast.mary, project, [{"data": {"n": i}} for i in range(51)])
    assert len(cast.mary.ok("GET", f"/api/projects/{project}/tasks")["results"]) == 50
