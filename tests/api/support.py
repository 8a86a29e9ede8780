"""What the API tests share: how a refusal looks, what a project holds, how to do things at the same moment."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any, TypeVar

import httpx
import psycopg

from tests.support.client import Client

T = TypeVar("T")
JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}
CSV = {"Content-Type": "text/csv"}


@dataclass(frozen=True)
class Cast:
    """Mary manages, Ada and Bob annotate, Cole consumes, Rita reviews.

    Olga manages elsewhere, Fred annotates for her.
    """

    mary: Client
    ada: Client
    bob: Client
    cole: Client
    rita: Client
    olga: Client
    fred: Client


class Database:
    """The stack's database, for what HTTP does not tell."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(url, autocommit=True)

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        cursor = self.connection.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []

    def one(self, sql: str, *parameters: Any) -> Any:
        ((value,),) = self.rows(sql, *parameters)
        return value

    def holds(self, project: int) -> dict[str, int]:
        """How many rows of each kind a project has: what must not change when a request is refused."""
        tables = ("task", "taskstate", "taskqueue", "gold", "assignment", "vote", "member", "invite")
        return {
            table: self.one(f"SELECT count(*) FROM projects_{table} WHERE project_id = %s", project) for table in tables
        }


def refused(response: httpx.Response, status: int, code: str, *fields: str) -> dict[str, Any]:
    """The body of an error, which must have exactly our shape, this code and these fields."""
    assert response.status_code == status, f"{response.status_code} {response.text[:500]}"
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"code", "detail", "errors"}
    assert body["code"] == code, body
    assert isinstance(body["detail"], str) and body["detail"]
    for error in body["errors"]:
        assert set(error) == {"field", "code", "detail"}
        assert all(isinstance(value, str) and value for value in error.values()), error
    assert [error["field"] for error in body["errors"]] == list(fields), body
    return dict(body)


def codes(body: dict[str, Any]) -> list[str]:
    return [error["code"] for error in body["errors"]]


def enrol(manager: Client, project: int, person: Client, role: str) -> int:
    """Have somebody join a project; their member id."""
    link = manager.ok("POST", f"/api/projects/{project}/invites", {"role": role})["link"]
    joined = person.ok("POST", "/api/join", {"invite": link.partition("#")[2]})
    members = manager.pages(f"/api/projects/{project}/members")
    return int(next(member["id"] for member in members if member["name"] == joined["user"]["name"]))


def at_once(actions: Iterable[Callable[[], T]]) -> list[T]:
    """Do these in threads that start together."""
    waiting = list(actions)
    barrier = Barrier(len(waiting))

    def act(action: Callable[[], T]) -> T:
        barrier.wait(120)
        return action()

    with ThreadPoolExecutor(len(waiting)) as pool:
        return list(pool.map(act, waiting))


def ascii_json(value: Any) -> dict[str, Any]:
    """A request's JSON body in which lone surrogates are escapes, as other languages send them."""
    return {"content": json.dumps(value).encode(), "headers": JSON}


def ndjson(*tasks: Any) -> bytes:
    return b"".join(json.dumps(task).encode() + b"\n" for task in tasks)
