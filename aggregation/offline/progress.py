"""Progress on stderr: only where somebody looks at a terminal."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: Seconds between two signs of life.
BEAT = 0.5


def bar(what: str, total: int | None, unit: str, **options: Any) -> Any:
    """A tqdm bar that vanishes when it is done; total in units (B for bytes), None where nobody knows."""
    from tqdm import tqdm

    # disable=None: silent unless stderr is a terminal.
    return tqdm(total=total, desc=what, unit=unit, unit_scale=unit == "B", leave=False, disable=None, **options)


@contextmanager
def clock(what: str, unit: str = "") -> Iterator[Any]:
    """For work whose end nobody knows: what is done, for how long, and how many units of it so far."""
    so_far = f"{{n_fmt}} {unit}, " if unit else ""
    with bar(what, None, unit, bar_format=f"{{desc}}: {so_far}{{elapsed}}") as shown:
        done = threading.Event()
        beating = threading.Thread(target=_beat, args=(shown, done), daemon=True)
        if not shown.disable:
            beating.start()
        try:
            yield shown
        finally:
            done.set()
            if not shown.disable:
                beating.join()


def _beat(shown: Any, done: threading.Event) -> None:
    while not done.wait(BEAT):
        shown.refresh()
