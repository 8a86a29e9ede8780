"""Names and data that try to be more than text: formulas, scripts, filters, headers."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest

from tests.api.support import CSV, Cast, Database, enrol
from tests.support.client import create_project, lease, upload, wait_for

SCRIPT = "<script>alert(1)</script>"
FORMULAS = ['=HYPERLINK("http://x","y")', "+1+cmd", "-2+3", "@SUM(1)", "\t=1", "\r=1", "a\r=1", "＝1+1"]
LABELS = ["=1+1", "+plus", "-minus", "@at", SCRIPT]


@pytest.fixture(scope="module")
def hostile(cast: Cast) -> int:
    """A project in which every text is an attack, with published consensus."""
    project = create_project(cast.mary, name=SCRIPT, labels=LABELS, instructions=SCRIPT)
    enrol(cast.mary, project, cast.cole, "consumer")
    enrol(cast.mary, project, cast.ada, "annotator")
    upload(cast.mary, project, [{"key": key, "data": {SCRIPT: SCRIPT, "f": key}} for key in FORMULAS])
    rows = io.StringIO()
    csv.writer(rows).writerows(
        [["task", "worker", "label"]] + [[k, SCRIPT, LABELS[i % 5]] for i, k in enumerate(FORMULAS)]
    )
    path = f"/api/projects/{project}"
    cast.mary.ok("POST", f"{path}/votes/import", content=rows.getvalue().encode(), headers=CSV)
    wait_for(lambda: len(cast.cole.ok("GET", f"{path}/consensus")["results"]) == len(FORMULAS), what="consensus")
    return project


def test_no_cell_of_an_export_is_a_formula(hostile: int, cast: Cast) -> None:
    response = cast.cole.get(f"/api/projects/{hostile}/consensus.csv")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == f'attachment; filename="consensus-{hostile}.csv"'
    assert response.headers["x-content-type-options"] == "nosniff"

    table = list(csv.DictReader(io.StringIO(response.text, newline="")))

    assert [row["key"].removeprefix("'") for row in table] == FORMULAS
    assert {row["label"] for row in table} <= {"'" + label for label in LABELS[:4]} | {SCRIPT}
    for row in table:
        for text in [*row, *row.values()]:
            assert not text.startswith(("=", "+", "@", "-", "\t", "\r", "＝")), text
    assert "\r=" not in re.sub(r'"[^"]*"', "", response.text), "a carriage return in a cell is quoted"


def test_json_gives_the_texts_as_they_are_and_as_json(hostile: int, cast: Cast) -> None:
    exported = cast.cole.get(f"/api/projects/{hostile}/consensus.jsonl")
    assert exported.headers["content-type"] == "application/x-ndjson; charset=utf-8"
    assert exported.headers["content-disposition"] == f'attachment; filename="consensus-{hostile}.jsonl"'
    lines = [json.loads(line) for line in exported.text.splitlines()]
    assert [line["key"] for line in lines] == FORMULAS
    assert set(lines[0]["posterior"]) == set(LABELS)
    fed = {row["task"]: row for row in cast.cole.ok("GET", f"/api/projects/{hostile}/consensus")["results"]}
    assert [(line["label"], line["posterior"]) for line in lines] == [
        (fed[line["task"]]["label"], fed[line["task"]]["posterior"]) for line in lines
    ]


def test_a_script_in_a_name_is_a_text_in_json(hostile: int, cast: Cast) -> None:
    path = f"/api/projects/{hostile}"
    for response in (
        cast.mary.get(path), cast.mary.get("/api/projects?limit=1000"), cast.mary.get(f"{path}/tasks"),
        cast.mary.get(f"{path}/annotators"), cast.cole.get(f"{path}/consensus"),
        cast.ada.post(f"{path}/assignments", {"count": 2}),
        cast.mary.post("/api/projects", {"name": "x", "labels": ["a", "b"], SCRIPT: 1}),
        cast.mary.post(f"{path}/tasks", json=[{"data": {}, "gold": SCRIPT + "!"}]),
    ):  # fmt: skip
        assert SCRIPT in response.json().__repr__(), response.request.url
        assert response.headers["content-type"] == "application/json"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "script-src 'self'" in response.headers["content-security-policy"]
    page = cast.mary.get(f"/projects/{hostile}/").text
    assert SCRIPT not in page and "alert(1)" not in page


def test_annotators_get_a_tasks_data_as_it_was_uploaded(hostile: int, cast: Cast) -> None:
    upload(cast.mary, hostile, [{"key": "open", "data": {"html": SCRIPT, "formula": "=1+1"}}])
    assert {"html": SCRIPT, "formula": "=1+1"} in [task["data"] for task in lease(cast.ada, hostile, 20)]


FILTERS = [
    {"user__password__startswith": "s"},
    {"project__members__user__password__regex": "^s"},
    {"_connector": "OR", "_negated": "true"},
    {"project_id": "1", "project": "1", "id__gt": "0"},
    {"order_by": "digest", "ordering": "-user__password", "fields": "digest", "expand": "user"},
    {"key": "=", "limit ": "5", "search": "' OR 1=1 --"},
]


@pytest.mark.parametrize("parameters", FILTERS)
@pytest.mark.parametrize(
    "name", ["", "/members", "/tasks", "/invites", "/annotators", "/runs", "/predictions", "/consensus"]
)
def test_no_query_parameter_reaches_the_database_as_a_filter(
    name: str, parameters: dict[str, str], hostile: int, cast: Cast
) -> None:
    path = f"/api/projects/{hostile}{name}"
    plain, filtered = cast.mary.get(path), cast.mary.get(path, params=parameters)
    assert filtered.status_code == 200
    assert rows(filtered.json()) == rows(plain.json())


def rows(answer: Any) -> Any:
    """Without what the refits in the background go on changing."""
    return [row.get("id", row.get("task")) for row in answer["results"]] if "results" in answer else answer


def test_statistics_are_the_same_with_and_without_a_filter(hostile: int, cast: Cast, db: Database) -> None:
    path = f"/api/projects/{hostile}/statistics"
    assert cast.mary.ok("GET", path)["tasks"] == cast.mary.ok("GET", path, params=FILTERS[0])["tasks"]
