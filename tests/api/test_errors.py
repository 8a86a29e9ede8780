"""Every error has one shape, whoever makes it: the API, the framework, the router, or a bug."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.support import Cast, Database, refused
from tests.support.client import Client
from tests.support.stack import Stack


@pytest.fixture(scope="module")
def nobody(stack: Stack) -> Iterator[Client]:
    with Client(stack.url) as client:
        yield client


def test_an_unknown_address_is_404(cast: Cast, nobody: Client, project: int) -> None:
    paths = ["/api/nothing", "/api/", "/api/projects/", "/api/projects/x", "/api/projects/-1", "/nothing", "/admin/"]
    paths += [f"/api/projects/{project}/{rest}" for rest in ("tasks/", "nothing", "assignments/x/skip")]
    for path in paths:
        for who in (cast.mary, nobody):
            refused(who.get(path), 404, "not_found")


def test_an_unknown_method_is_405_and_says_which_are_known(cast: Cast, project: int) -> None:
    response = cast.mary.request("PUT", f"/api/projects/{project}", json={})
    refused(response, 405, "method_not_allowed")
    assert {"GET", "PATCH"} <= set(response.headers["Allow"].split(", "))
    refused(cast.mary.delete(f"/api/projects/{project}/tasks"), 405, "method_not_allowed")


def test_whoever_is_not_signed_in_is_asked_to(nobody: Client, project: int) -> None:
    for path in ("/api/projects", f"/api/projects/{project}", "/api/projects/2000000000"):
        response = nobody.get(path)
        refused(response, 401, "not_authenticated")
        assert "WWW-Authenticate" in response.headers


def test_a_form_of_answer_that_we_do_not_have_is_406(cast: Cast, project: int) -> None:
    refused(cast.mary.get(f"/api/projects/{project}", headers={"Accept": "application/xml"}), 406, "not_acceptable")


@pytest.mark.parametrize("accept", ["text/csv", "*/*", "text/html", "application/json"])
def test_an_export_is_there_for_whatever_accept_header(accept: str, cast: Cast, project: int) -> None:
    response = cast.cole.get(f"/api/projects/{project}/consensus.csv", headers={"Accept": accept})
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    refused(cast.ada.get(f"/api/projects/{project}/consensus.csv", headers={"Accept": accept}), 404, "not_found")


def test_a_failure_of_ours_says_so_without_saying_how(nobody: Client, db: Database) -> None:
    db.rows("ALTER TABLE projects_signinlink RENAME TO broken")
    try:
        response = nobody.post("/api/session", {"link": "anything"})
    finally:
        db.rows("ALTER TABLE broken RENAME TO projects_signinlink")
    refused(response, 500, "server_error")
    for word in ("Traceback", "projects_", "SELECT", "psycopg", "anything"):
        assert word not in response.text
    refused(nobody.post("/api/session", {"link": "anything"}), 400, "invalid_link", "link")


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "1e3", "all", "", "9" * 5000, "1.5", "²"])
def test_a_page_has_1_to_1000_rows(limit: str, cast: Cast, project: int) -> None:
    for path in ("tasks", "runs", "annotators", "predictions", "consensus", "members", "invites"):
        response = cast.mary.get(f"/api/projects/{project}/{path}", params={"limit": limit})
        refused(response, 400, "invalid_limit", "limit")
    refused(cast.mary.get("/api/projects", params={"limit": limit}), 400, "invalid_limit", "limit")


@pytest.mark.parametrize(
    "cursor", ["x", "MQ==,MQ", "LTE", "MSwyLDM", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "é", "🐈", "' OR 1=1", "\0"]
)
def test_a_cursor_that_is_none_of_ours_is_refused(cursor: str, cast: Cast, project: int) -> None:
    for path in ("tasks", "runs", "annotators", "predictions", "consensus", "members", "invites"):
        response = cast.mary.get(f"/api/projects/{project}/{path}", params={"cursor": cursor})
        refused(response, 400, "invalid_cursor", "cursor")
