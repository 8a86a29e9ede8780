"""A plain HTTP client for tests: what a script of a user would do, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx


class Client:
    """One person, by session or by API token. ``get``/``post`` answer httpx responses; ``ok`` unpacks good ones."""

    def __init__(self, base_url: str, token: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.base_url, self.token = base_url, token
        self.http = httpx.Client(base_url=base_url, headers=headers, timeout=60)

    def close(self) -> None:
        self.http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        headers = dict(arguments.pop("headers", None) or {})
        if not self.token and "crowd_csrf" in self.http.cookies:
            headers["X-CSRFToken"] = self.http.cookies["crowd_csrf"]
        return self.http.request(method, path, headers=headers, **arguments)

    def get(self, path: str, **arguments: Any) -> httpx.Response:
        return self.request("GET", path, **arguments)

    def post(self, path: str, json: Any = None, **arguments: Any) -> httpx.Response:
        return self.request("POST", path, json=json, **arguments)

    def patch(self, path: str, json: Any) -> httpx.Response:
        return self.request("PATCH", path, json=json)

    def delete(self, path: str) -> httpx.Response:
        return self.request("DELETE", path)

    def ok(self, method: str, path: str, json: Any = None, **arguments: Any) -> Any:
        """The JSON of a request that must succeed."""
        response = self.request(method, path, json=json, **arguments)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text[:2000]}"
        return response.json() if response.content else None

    def pages(self, path: str, limit: int = 1000) -> Iterator[Any]:
        """All rows of a paginated list."""
        cursor: str | None = ""
        while cursor is not None:
            page = self.ok("GET", path, params={"limit": limit, **({"cursor": cursor} if cursor else {})})
            yield from page["results"]
            cursor = page["next"]


def sign_in_by_link(link: str) -> Client:
    """A token client of the account behind a one-time link."""
    base_url, _, token = link.partition("/sign-in#")
    with Client(base_url) as session:
        session.ok("POST", "/api/session", {"link": token})
        return Client(base_url, session.ok("POST", "/api/tokens", {"name": "tests"})["token"])


def create_project(manager: Client, **settings: Any) -> int:
    settings = {"name": "Birds", "labels": ["cat", "dog"], **settings}
    return int(manager.ok("POST", "/api/projects", settings)["id"])


def upload(manager: Client, project: int, tasks: list[dict[str, Any]]) -> Any:
    return manager.ok("POST", f"/api/projects/{project}/tasks", tasks)


def join(manager: Client, project: int, name: str, role: str = "annotator") -> Client:
    """A new person who follows an invite and makes an API token."""
    link = manager.ok("POST", f"/api/projects/{project}/invites", {"role": role})["link"]
    with Client(manager.base_url) as session:
        session.ok("POST", "/api/join", {"invite": link.partition("#")[2], "name": name})
        return Client(manager.base_url, session.ok("POST", "/api/tokens", {"name": "tests"})["token"])


def lease(annotator: Client, project: int, count: int = 1) -> list[dict[str, Any]]:
    return list(annotator.ok("POST", f"/api/projects/{project}/assignments", {"count": count})["assignments"])


def vote(annotator: Client, project: int, assignment: str, label: str) -> httpx.Response:
    return annotator.post(f"/api/projects/{project}/votes", {"votes": [{"assignment": assignment, "label": label}]})


def wait_for(condition: Callable[[], Any], seconds: float = 30, what: str = "the condition") -> Any:
    """The first truthy value of ``condition``, polled: a deadline is not a measurement."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come within {seconds} s")
