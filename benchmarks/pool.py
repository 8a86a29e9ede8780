"""Many measurements in a pool of processes, and their tables."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any

from aggregation.core.crowd_kit import Unavailable

#: None where a measure is not defined, or was not measured.
Measures = dict[str, float | None]
#: Crowd, method, function and its arguments.
Job = tuple[str, str, Callable[..., Measures], tuple[Any, ...]]
#: By crowd, then by method.
Results = dict[str, dict[str, Measures]]


def run(jobs: Sequence[Job], processes: int) -> Results:
    """Measure every (crowd, method, function, arguments) in a pool; say on stderr what is done, and what cannot be."""
    results: Results = {crowd: {} for crowd, *_ in jobs}
    with ProcessPoolExecutor(processes) as pool:
        futures = {pool.submit(function, *arguments): (crowd, method) for crowd, method, function, arguments in jobs}
        for done, future in enumerate(as_completed(futures), 1):
            crowd, method = futures[future]
            try:
                results[crowd][method] = future.result()
                said = "done"
            except (Unavailable, ValueError, TimeoutError) as reason:
                said = f"not measured: {reason}"
            print(f"{done}/{len(jobs)} {crowd} {method}: {said}", file=sys.stderr, flush=True)
    return results


def ordered(results: Results, crowds: Iterable[str], methods: Sequence[str]) -> Results:
    return {crowd: {m: results[crowd][m] for m in methods if m in results[crowd]} for crowd in crowds}


@contextmanager
def limited(seconds: float | None) -> Iterator[None]:
    """Raise TimeoutError after so many seconds; only in the main thread of a process."""
    if seconds is None:
        yield
        return

    def stop(*_: object) -> None:
        raise TimeoutError(f"not done after {seconds:g} s")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def table(title: str, rows: dict[str, Measures]) -> Iterator[str]:
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    first = max(len(name) for name in (title, *rows))
    yield f"{title:{first}}  " + "  ".join(columns)
    for name, row in rows.items():
        cells = (f"{_shown(row.get(column)):>{len(column)}}" for column in columns)
        yield f"{name:{first}}  " + "  ".join(cells)
    yield ""


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
