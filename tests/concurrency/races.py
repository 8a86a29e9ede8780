"""Many people at the same moment: threads with a database connection each, let go together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import connection

T = TypeVar("T")


def together(actions: Sequence[Callable[[], T]], *, database: bool = True) -> list[T]:
    """Start all actions at once; their answers in order. The first exception of any is raised.

    ``database``: open each thread's own connection before the start, so that only the action itself is raced.
    """
    start = threading.Barrier(len(actions))

    def run(action: Callable[[], T]) -> T:
        try:
            if database:
                connection.ensure_connection()
            start.wait(30)
            return action()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(actions)) as pool:
        return [future.result() for future in [pool.submit(run, action) for action in actions]]


@contextmanager
def meanwhile(action: Callable[[], Any]) -> Iterator[None]:
    """Do ``action`` again and again in a thread while the block runs. What it raises is raised at the end."""
    stop = threading.Event()

    def run() -> None:
        try:
            while not stop.is_set():
                action()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run)
        try:
            yield
        finally:
            stop.set()
        future.result()
