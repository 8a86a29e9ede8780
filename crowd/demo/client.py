"""A small client of the REST API: what a script of yours would do, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Self

import httpx

SECONDS_PER_REQUEST = 60.0
SECONDS_BETWEEN_LOOKS = 0.3


class Refused(Exception):
    """The service answered something else than success."""


class NothingHappened(Exception):
    """What we waited for did not come in time."""


class Client:
    """One person, by API token or by session. ``get``/``post`` answer httpx responses; ``ok`` unpacks good ones.

    With ``transport`` many people share one pool of connections, each with their own cookies and token.
    """

    def __init__(self, base_url: str, token: str | None = None, transport: httpx.BaseTransport | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        shared: dict[str, Any] = {"transport": transport} if transport else {}
        self.base_url, self.token, self.transport = base_url, token, transport
        # No proxy: one for the internet does not know this machine's own addresses.
        self.http = httpx.Client(
            base_url=base_url, headers=headers, timeout=SECONDS_PER_REQUEST, trust_env=False, **shared
        )

    def close(self) -> None:
        self.http.close()

    def __enter__(self) -> Self:
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
        if json is not None:
            arguments["json"] = json
        return self.request("POST", path, **arguments)

    def patch(self, path: str, json: Any) -> httpx.Response:
        return self.request("PATCH", path, json=json)

    def delete(self, path: str) -> httpx.Response:
        return self.request("DELETE", path)

    def ok(self, method: str, path: str, json: Any = None, **arguments: Any) -> Any:
        """The JSON of a request that must succeed. Raises Refused with what the service says."""
        if json is not None:
            arguments["json"] = json
        response = self.request(method, path, **arguments)
        if not response.is_success:
            raise Refused(f"{method} {path}: {response.status_code} {response.text[:2000]}")
        return response.json() if response.content else None

    def pages(self, path: str, limit: int = 1000) -> Iterator[Any]:
        """All rows of a paginated list."""
        cursor: str | None = ""
        while cursor is not None:
            page = self.ok("GET", path, params={"limit": limit, **({"cursor": cursor} if cursor else {})})
            yield from page["results"]
            cursor = page["next"]


def sign_in_by_link(link: str, transport: httpx.BaseTransport | None = None, *, name: str = "script") -> Client:
    """A client, by a new API token of this name, of the account behind a one-time link."""
    base_url, _, token = link.partition("/sign-in#")
    session = Client(base_url, transport=transport)
    session.ok("POST", "/api/session", {"link": token})
    return _by_token(session, name)


def join_by_link(
    link: str, person: str, transport: httpx.BaseTransport | None = None, *, name: str = "script"
) -> Client:
    """A client, by a new API token of this name, of a new person who follows an invite."""
    base_url, _, token = link.partition("/join#")
    session = Client(base_url, transport=transport)
    session.ok("POST", "/api/join", {"invite": token, "name": person})
    return _by_token(session, name)


def _by_token(session: Client, name: str) -> Client:
    token = session.ok("POST", "/api/tokens", {"name": name})["token"]
    if session.transport is None:
        session.close()
    return Client(session.base_url, token, session.transport)


def wait_for(condition: Callable[[], Any], seconds: float = 60, what: str = "what we waited for") -> Any:
    """The first truthy value of ``condition``, polled. Raises NothingHappened."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(SECONDS_BETWEEN_LOOKS)
    raise NothingHappened(f"{what} did not come within {seconds:g} s")
