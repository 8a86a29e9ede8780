"""Bodies of 50 MB: refused by name and before they are held in memory."""

from __future__ import annotations

import socket
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from tests.api.support import CSV, JSON, NDJSON, Cast, Database
from tests.support.client import Client

FIFTY = 50 * 1000 * 1000


def status_and_code(client: Client, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
    """Send it as far as the server reads, and read what it says: it may answer and close before the end."""
    url = urlsplit(client.base_url)
    lines = [f"{method} {path} HTTP/1.1", f"Host: {url.netloc}", f"Authorization: Bearer {client.token}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    with socket.create_connection((str(url.hostname), url.port or 80), timeout=60) as connection:
        connection.sendall("\r\n".join(lines).encode())
        answer = b""
        with suppress(OSError):
            connection.sendall(body)
        with suppress(OSError):
            while chunk := connection.recv(65536):
                answer += chunk
    if not answer:
        return 0, "closed"
    head, _, rest = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), rest.decode().partition('"code":"')[2].partition('"')[0]


@pytest.fixture(scope="module")
def fifty() -> bytes:
    return b'{"name":"' + b"x" * FIFTY + b'"}'


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/projects"),
        ("PATCH", "/api/projects/{}"),
        ("POST", "/api/projects/{}/votes"),
        ("POST", "/api/session"),
    ],
)
def test_fifty_megabytes_are_too_large_for_an_ordinary_endpoint(
    method: str, path: str, cast: Cast, project: int, fifty: bytes, db: Database
) -> None:
    before = db.one("SELECT count(*) FROM projects_project"), db.holds(project)
    answer = status_and_code(cast.mary, method, path.format(project), JSON, fifty)
    assert answer in ((413, "too_large"), (0, "closed"))
    assert (db.one("SELECT count(*) FROM projects_project"), db.holds(project)) == before
    assert cast.mary.get("/health/ready").status_code == 200


def test_just_above_a_megabyte_is_too_large_and_says_so(cast: Cast) -> None:
    response = cast.mary.post("/api/projects", {"name": "x" * (1 << 20), "labels": ["a", "b"]})
    assert (response.status_code, response.json()["code"]) == (413, "too_large")
    response = cast.mary.post("/api/projects", {"name": "x" * (1 << 19), "labels": ["a", "b"]})
    assert (response.status_code, response.json()["errors"][0]["code"]) == (400, "max_length")


@pytest.mark.parametrize(
    ("headers", "before", "after"),
    [(NDJSON, b'{"data":{"t":"', b'"}}'), (JSON, b'[{"data":{"t":"', b'"}}]'), (CSV, b"text\n", b"\n")],
    ids=["ndjson", "json", "csv"],
)
def test_a_line_of_fifty_megabytes_is_too_long_for_an_upload(
    headers: dict[str, str], before: bytes, after: bytes, cast: Cast, project: int, db: Database
) -> None:
    holds = db.holds(project)
    body = before + b"x" * FIFTY + after
    answer = status_and_code(cast.mary, "POST", f"/api/projects/{project}/tasks", headers, body)
    assert answer in ((400, "invalid_tasks"), (0, "closed"))
    small = before + b"x" * 2_000_000 + after
    response = cast.mary.post(f"/api/projects/{project}/tasks", content=small, headers=headers)
    place = {"ndjson": "line 1", "json": "item 1", "csv": "line 2"}[
        headers["Content-Type"].split("/")[1].removeprefix("x-")
    ]
    assert [(e["field"], e["code"]) for e in response.json()["errors"]] == [(place, "line_too_long")]
    assert db.holds(project) == holds
    assert cast.mary.get("/health/ready").status_code == 200
