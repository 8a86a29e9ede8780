"""Many people at the same moment: threads with a database connection each, let go together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection

from tests.support.client import wait_for


def together(actions: Sequence[Callable[[], Any]], *, database: bool = True) -> list[Any]:
    """Start all actions at once; their answers in order. The first exception of any is raised.

    ``database``: open each thread's own connection before the start, so that only the action itself is raced.
    """
    start = threading.Barrier(len(actions))

    def run(action: Callable[[], Any]) -> Any:
        try:
            if database:
                connection.ensure_connection()
            start.wait(120)
            return action()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(actions)) as pool:
        return [future.result() for future in [pool.submit(run, action) for action in actions]]


@contextmanager
def beside(*actions: Callable[[], Any]) -> Iterator[list[Future[Any]]]:
    """Do these in threads of their own while the block goes on in this one; at its end all must be done.

    Whatever an action raises is raised then.
    """

    def run(action: Callable[[], Any]) -> Any:
        try:
            return action()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(actions)) as pool:
        running = [pool.submit(run, action) for action in actions]
        yield running
        for future in running:
            future.result(60)


def wait_until_blocked_by(somebody: psycopg.Connection[Any], observer: psycopg.Connection[Any]) -> None:
    """Waits until another session waits for this one. observer: one that commits each statement."""
    waiting = "SELECT FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"
    wait_for(lambda: observer.execute(waiting, [somebody.info.backend_pid]).fetchall(), what="somebody to wait")


@contextmanager
def meanwhile(action: Callable[[], Any]) -> Iterator[None]:
    """Do ``action`` again and again in a thread while the block runs."""
    stop = threading.Event()

    def again_and_again() -> None:
        while not stop.is_set():
            action()

    with beside(again_and_again):
        try:
            yield
        finally:
            stop.set()
