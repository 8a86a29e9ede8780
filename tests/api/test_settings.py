"""A project's settings: what is refused, by which name, and that nothing of it is stored."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.support import JSON, Cast, Database, ascii_json, at_once, codes, refused
from tests.support.client import create_project, upload

GOOD = {"name": "Birds", "labels": ["cat", "dog"]}

BAD: list[tuple[str, dict[str, Any], str, str]] = [
    ("no name", {"name": None}, "name", "null"),
    ("a blank name", {"name": "  "}, "name", "blank"),
    ("a name too long", {"name": "x" * 201}, "name", "max_length"),
    ("a name that is a list", {"name": ["x"]}, "name", "invalid"),
    ("a name with NUL", {"name": "a\0"}, "name", "null_characters_not_allowed"),
    ("a name with a lone surrogate", {"name": "\ud800"}, "name", "surrogate_characters_not_allowed"),
    ("no labels", {"labels": []}, "labels", "invalid_labels"),
    ("one label", {"labels": ["cat"]}, "labels", "invalid_labels"),
    ("201 labels", {"labels": [str(i) for i in range(201)]}, "labels", "invalid_labels"),
    ("the same label twice", {"labels": ["cat", "dog", "cat"]}, "labels", "invalid_labels"),
    ("labels that differ by white space", {"labels": ["cat", " cat\t"]}, "labels", "invalid_labels"),
    ("a blank label", {"labels": ["cat", " "]}, "labels", "invalid_labels"),
    ("a label that is a number", {"labels": ["1", 2]}, "labels", "invalid_labels"),
    ("a label with NUL", {"labels": ["cat", "do\0g"]}, "labels", "invalid_labels"),
    ("a label with a lone surrogate", {"labels": ["cat", "\udfff"]}, "labels", "invalid_labels"),
    ("labels as text", {"labels": "cat,dog"}, "labels", "invalid_labels"),
    ("labels as an object", {"labels": {"0": "cat", "1": "dog"}}, "labels", "invalid_labels"),
    ("redundancy 0", {"redundancy": 0}, "redundancy", "min_value"),
    ("redundancy 1001", {"redundancy": 1001}, "redundancy", "max_value"),
    ("redundancy of 400 digits", {"redundancy": 10**400}, "redundancy", "max_value"),
    ("redundancy one and a half", {"redundancy": 1.5}, "redundancy", "invalid"),
    ("redundancy true", {"redundancy": True}, "redundancy", "invalid"),
    ("redundancy null", {"redundancy": None}, "redundancy", "null"),
    ("a lease of 9 seconds", {"lease_seconds": 9}, "lease_seconds", "min_value"),
    ("a lease of more than a day", {"lease_seconds": 86401}, "lease_seconds", "max_value"),
    ("a certain target", {"target_confidence": 1}, "target_confidence", "max_value"),
    ("a target below a half", {"target_confidence": 0.4}, "target_confidence", "min_value"),
    ("a target that is text", {"target_confidence": "nan"}, "target_confidence", "invalid"),
    ("a target of 400 digits", {"target_confidence": 10**400}, "target_confidence", "overflow"),
    ("a price of nothing", {"price_per_vote": "0"}, "price_per_vote", "min_value"),
    ("a negative price", {"price_per_vote": "-0.01"}, "price_per_vote", "min_value"),
    ("a price of five places", {"price_per_vote": "0.00001"}, "price_per_vote", "max_decimal_places"),
    ("a price that is no number", {"price_per_vote": "NaN"}, "price_per_vote", "invalid"),
    ("a price that is infinite", {"price_per_vote": "Infinity"}, "price_per_vote", "invalid"),
    ("a price that is true", {"price_per_vote": True}, "price_per_vote", "invalid"),
    ("a negative budget", {"budget": -1}, "budget", "min_value"),
    ("a budget of 17 digits", {"budget": "1234567890123.4567"}, "budget", "max_digits"),
    ("a budget of 400 digits", {"budget": 10**400}, "budget", "max_digits"),
    ("a currency too long", {"currency": "x" * 13}, "currency", "max_length"),
    ("an unknown acquisition", {"acquisition": "vibes"}, "acquisition", "invalid_choice"),
    ("an acquisition with a lone surrogate", {"acquisition": "\ud800"}, "acquisition", "invalid_choice"),
    ("an unknown label model", {"label_model": "__import__"}, "label_model", "invalid_choice"),
    ("an unknown label type", {"label_type": "boxes"}, "label_type", "invalid_choice"),
    ("an unknown learner", {"learner": "pickle", "learner_fields": ["x"]}, "learner", "invalid_choice"),
    ("a learner's field that is a list", {"learner_fields": [[]]}, "learner_fields.0", "invalid"),
    ("instructions too long", {"instructions": "x" * 50_001}, "instructions", "max_length"),
    ("an unknown setting", {"redundency": 3}, "redundency", "unknown_field"),
]
#: What a client must never be able to set, by creating or editing.
OURS = ["id", "status", "role", "created_at", "refit_requested_at", "members", "pk", "_state", "labels__len"]


@pytest.mark.parametrize(("wrong", "field", "code"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_wrong_setting_is_refused_by_its_name_in_a_new_project_and_an_edit(
    wrong: dict[str, Any], field: str, code: str, cast: Cast, project: int, db: Database
) -> None:
    before = db.rows("SELECT count(*), sum(version) FROM projects_project")

    created = refused(cast.mary.post("/api/projects", **ascii_json({**GOOD, **wrong})), 400, "invalid", field)
    assert codes(created) == [code]

    version = cast.mary.ok("GET", f"/api/projects/{project}")["version"]
    edit = ascii_json({"version": version, **wrong})
    edited = refused(cast.mary.request("PATCH", f"/api/projects/{project}", **edit), 400, "invalid", field)
    assert codes(edited) == [code]
    assert db.rows("SELECT count(*), sum(version) FROM projects_project") == before


@pytest.mark.parametrize("name", OURS)
def test_nobody_sets_what_is_ours(name: str, cast: Cast, project: int, db: Database) -> None:
    row = "SELECT to_jsonb(p) FROM projects_project p WHERE id = %s"
    before, count = db.one(row, project), db.one("SELECT count(*) FROM projects_project")
    for value in (1, "paused"):
        body = refused(cast.mary.post("/api/projects", {**GOOD, name: value}), 400, "invalid", name)
        assert codes(body) == ["unknown_field"]
        edit = {"version": before["version"], "name": "Mine", name: value}
        body = refused(cast.mary.patch(f"/api/projects/{project}", edit), 400, "invalid", name)
        assert codes(body) == ["unknown_field"]
    assert db.one(row, project) == before
    assert db.one("SELECT count(*) FROM projects_project") == count


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("/api/tokens", {"name": "x", "user": 1}),
        ("/api/tokens", {"name": "x", "token": "crowd_mine"}),
        ("/api/projects/{}/invites", {"role": "annotator", "uses": -5}),
        ("/api/projects/{}/invites", {"role": "annotator", "project": 1}),
        ("/api/projects/{}/assignments", {"count": 1, "annotator": 1}),
        ("/api/projects/{}/assignments", {"count": 1, "lease_seconds": 86400}),
        ("/api/projects/{}/votes", {"votes": [], "annotator": 1}),
        ("/api/projects/{}/backtests", {"target": 0.9}),
    ],
)
def test_no_endpoint_takes_a_field_it_does_not_know(
    path: str, given: dict[str, Any], cast: Cast, project: int, db: Database
) -> None:
    before = db.holds(project)
    body = cast.mary.post(path.format(project), given).json()
    assert body["code"] == "invalid"
    assert "unknown_field" in codes(body)
    assert db.holds(project) == before


def test_a_remote_learner_takes_no_field_it_does_not_know(cast: Cast, project: int) -> None:
    given = {"url": "https://example.org", "user": "x"}
    body = refused(
        cast.mary.request("PUT", f"/api/projects/{project}/remote-learner", json=given), 400, "invalid", "user"
    )
    assert codes(body) == ["unknown_field"]


@pytest.mark.parametrize(
    ("given", "field", "code"),
    [
        ({"role": "owner"}, "role", "invalid_choice"),
        ({}, "role", "required"),
        ({"role": "annotator", "max_uses": 0}, "max_uses", "min_value"),
        ({"role": "annotator", "days": 0}, "days", "min_value"),
        ({"role": "annotator", "days": 366}, "days", "max_value"),
    ],
)
def test_a_wrong_invite_is_refused(
    given: dict[str, Any], field: str, code: str, cast: Cast, project: int, db: Database
) -> None:
    before = db.holds(project)
    assert codes(refused(cast.mary.post(f"/api/projects/{project}/invites", given), 400, "invalid", field)) == [code]
    assert db.holds(project) == before


def test_labels_are_kept_without_the_space_around_them_and_up_to_200_of_them(cast: Cast) -> None:
    made = cast.mary.ok("POST", "/api/projects", {"name": "Space", "labels": [" cat", "dog\n", "Ünïcode <b> 🐈"]})
    assert made["labels"] == ["cat", "dog", "Ünïcode <b> 🐈"]
    labels = [f"label {i}" for i in range(200)]
    assert cast.mary.ok("POST", "/api/projects", {"name": "Many", "labels": labels})["labels"] == labels


def test_of_managers_who_edit_at_the_same_moment_one_wins_and_the_others_are_told(cast: Cast) -> None:
    project = create_project(cast.mary, name="Raced")
    path = f"/api/projects/{project}"
    for version in (1, 2, 3):
        edits = [{"version": version, "name": f"{version} by {i}", "redundancy": 2 + i} for i in range(8)]

        answers = at_once([lambda e=edit: cast.mary.patch(path, e) for edit in edits])

        won = [edit for edit, answer in zip(edits, answers, strict=True) if answer.status_code == 200]
        assert len(won) == 1
        for answer in answers:
            if answer.status_code != 200:
                refused(answer, 409, "edited_meanwhile", "version")
        now = cast.mary.ok("GET", path)
        assert (now["name"], now["redundancy"], now["version"]) == (won[0]["name"], won[0]["redundancy"], version + 1)


def test_an_edit_needs_the_version_that_was_read(cast: Cast, project: int) -> None:
    path = f"/api/projects/{project}"
    version = cast.mary.ok("GET", path)["version"]
    assert codes(refused(cast.mary.patch(path, {"name": "x"}), 400, "invalid", "version")) == ["required"]
    refused(cast.mary.patch(path, {"version": "one", "name": "x"}), 400, "invalid", "version")
    refused(cast.mary.patch(path, {"version": version - 1, "name": "x"}), *stale(version))
    refused(cast.mary.patch(path, {"version": 10**30, "name": "x"}), 409, "edited_meanwhile", "version")
    assert cast.mary.ok("PATCH", path, {"version": version, "name": "Known"})["version"] == version + 1


def stale(version: int) -> tuple[int, str, str]:
    """Version 0 is no version at all; any other old one was somebody's edit ago."""
    return (400, "invalid", "version") if version == 1 else (409, "edited_meanwhile", "version")


def test_labels_stay_once_there_are_tasks_and_the_rest_of_that_edit_is_not_stored(cast: Cast) -> None:
    project = create_project(cast.mary, name="Fixed labels")
    path = f"/api/projects/{project}"
    assert cast.mary.ok("PATCH", path, {"version": 1, "labels": ["cat", "dog", "cow"]})["labels"][2] == "cow"
    upload(cast.mary, project, [{"data": {"n": 1}}])

    refused(cast.mary.patch(path, {"version": 2, "name": "New", "labels": ["a", "b"]}), 409, "labels_fixed", "labels")

    now = cast.mary.ok("GET", path)
    assert (now["name"], now["version"], now["labels"]) == ("Fixed labels", 2, ["cat", "dog", "cow"])


BODIES: list[tuple[str, bytes, dict[str, str], int, str]] = [
    ("no JSON", b"name=x", JSON, 400, "parse_error"),
    ("half of it", b'{"name": "x", ', JSON, 400, "parse_error"),
    ("NaN", b'{"name":"x","labels":["a","b"],"target_confidence":NaN}', JSON, 400, "parse_error"),
    ("Infinity", b'{"name":"x","labels":["a","b"],"target_confidence":-Infinity}', JSON, 400, "parse_error"),
    ("no UTF-8", b'{"name":"\xff"}', JSON, 400, "parse_error"),
    ("a byte order mark", b'\xef\xbb\xbf{"name":"x"}', JSON, 400, "parse_error"),
    ("a number of 5,000 digits", b'{"redundancy":' + b"9" * 5000 + b"}", JSON, 400, "parse_error"),
    ("lists in lists", b"[" * 400_000, JSON, 400, "parse_error"),
    ("objects in objects", b'{"name":' * 100_000 + b"1" + b"}" * 100_000, JSON, 400, "parse_error"),
    ("a list", b"[]", JSON, 400, "not_an_object"),
    ("a text", b'"name"', JSON, 400, "not_an_object"),
    ("null", b"null", JSON, 400, "not_an_object"),
    ("a form", b"name=x", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
    ("XML", b"<name/>", {"Content-Type": "application/xml"}, 415, "unsupported_media_type"),
    ("no type", b"{}", {"Content-Type": ""}, 415, "unsupported_media_type"),
    ("a compressed one", b"x", {"Content-Type": "application/json; charset=zlib"}, 400, "parse_error"),
]


@pytest.mark.parametrize(("content", "headers", "status", "code"), [r[1:] for r in BODIES], ids=[r[0] for r in BODIES])
def test_a_body_that_is_no_json_object_is_refused_wherever_json_is_taken(
    content: bytes, headers: dict[str, str], status: int, code: str, cast: Cast, project: int, db: Database
) -> None:
    before = db.one("SELECT count(*) FROM projects_project"), db.holds(project)
    for path in ("/api/projects", f"/api/projects/{project}/votes", "/api/tokens", "/api/join"):
        refused(cast.mary.post(path, content=content, headers=headers), status, code)
    refused(cast.mary.request("PATCH", f"/api/projects/{project}", content=content, headers=headers), status, code)
    assert (db.one("SELECT count(*) FROM projects_project"), db.holds(project)) == before


def test_a_field_whose_name_is_a_lone_surrogate_is_named_as_well_as_can_be(cast: Cast) -> None:
    refused(cast.mary.post("/api/projects", content=b'{"\\ud800": 1}', headers=JSON), 400, "invalid", "?")


def test_a_body_of_thousands_of_wrong_fields_gets_an_answer_of_a_hundred(cast: Cast) -> None:
    response = cast.mary.post("/api/projects", {f"field {i}": 1 for i in range(2_000)})
    assert response.status_code == 400
    assert len(response.json()["errors"]) == 100
