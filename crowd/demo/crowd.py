"""People at work over HTTP: they join by invite, lease tasks, answer them, several at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from crowd.demo.client import Client, Refused, join_by_link

T = TypeVar("T")
R = TypeVar("R")

#: So many people are at work at the same time.
AT_ONCE = 12
SECONDS_BEFORE_RETRY = 0.05
#: A person who is told so often that rows were locked just now tries again in the next round.
RETRIES = 20

#: What somebody answers to a task with this data.
Answer = Callable[[Any], str]


@dataclass(frozen=True)
class Annotator:
    client: Client
    answer: Answer


@dataclass
class Campaign:
    """A crowd at work on one project, and what it has done so far."""

    project: int
    annotators: Sequence[Annotator]
    on_votes: Callable[[int], object]
    leases: int = 0
    votes: int = 0

    def __post_init__(self) -> None:
        self._counting = threading.Lock()

    def round(self, wanted: int, most: int) -> bool:
        """Everybody leases and answers a share of ``wanted`` votes (at most ``most`` each); whether anybody could."""
        shares = _shares(wanted, len(self.annotators), most)
        before = self.votes
        at_once(lambda turn: self._turn(*turn), zip(self.annotators, shares, strict=True))
        return self.votes > before

    def _turn(self, annotator: Annotator, count: int) -> None:
        if count == 0:
            return
        leased = self._lease(annotator, count)
        if not leased:
            return
        votes = [{"assignment": lease["id"], "label": annotator.answer(lease["data"])} for lease in leased]
        stored = annotator.client.ok("POST", f"/api/projects/{self.project}/votes", {"votes": votes})["results"]
        refused = [result for result in stored if result["status"] != "counted"]
        if refused:
            raise Refused(f"{len(refused)} of {len(stored)} votes were refused: {refused[0]['error']['detail']}")
        with self._counting:
            self.leases += len(leased)
            self.votes += len(stored)
            self.on_votes(len(stored))

    def _lease(self, annotator: Annotator, count: int) -> list[dict[str, Any]]:
        for _ in range(RETRIES):
            given = annotator.client.ok("POST", f"/api/projects/{self.project}/assignments", {"count": count})
            if given["status"] != "retry":
                break
            time.sleep(SECONDS_BEFORE_RETRY)
        return list(given["assignments"])


def _shares(wanted: int, people: int, most: int) -> list[int]:
    """Whole shares that add up to ``wanted`` unless ``most`` forbids it."""
    return [min(most, wanted * (i + 1) // people - wanted * i // people) for i in range(people)]


def invite_all(manager: Client, project: int, names: Sequence[str], transport: httpx.BaseTransport) -> list[Client]:
    """New people who follow one invite to the project, each with an API token of their own."""
    link = manager.ok("POST", f"/api/projects/{project}/invites", {"role": "annotator"})["link"]
    return at_once(lambda name: join_by_link(link, name, transport, name="demo"), names)


def at_once(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """``work`` on every item, several at the same time; an error or Ctrl-C drops what has not begun."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
