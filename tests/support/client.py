"""A plain HTTP client for tests: what a script of a user would do, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

from crowd.demo import client


class Client(client.Client):
    """The demo's client, for whom a refusal is a failed assertion."""

    def ok(self, method: str, path: str, json: Any = None, **arguments: Any) -> Any:
        try:
            return super().ok(method, path, json, **arguments)
        except client.Refused as refused:
            raise AssertionError(str(refused)) from refused


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
    """As many leases as asked, or as there are: a worker's locks may hide some at first, so a few more looks."""
    for _ in range(10):
        given = annotator.ok("POST", f"/api/projects/{project}/assignments", {"count": count})
        if len(given["assignments"]) >= count or given["status"] not in ("ok", "retry"):
            break
        time.sleep(0.02)
    return list(given["assignments"])


def vote(annotator: Client, project: int, assignment: str, label: str) -> httpx.Response:
    return annotator.post(f"/api/projects/{project}/votes", {"votes": [{"assignment": assignment, "label": label}]})


def wait_for(condition: Callable[[], Any], seconds: float = 120, what: str = "the condition") -> Any:
    """The first truthy value of ``condition``, polled: a deadline is not a measurement."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come within {seconds} s")
