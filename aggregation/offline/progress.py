"""Progress bars on stderr: only where somebody looks at a terminal."""

from __future__ import annotations

from typing import Any


def bar(what: str, total: int | None, unit: str) -> Any:
    """A tqdm bar that vanishes when it is done; total in units (B for bytes), None where nobody knows."""
    from tqdm import tqdm

    # disable=None: silent unless stderr is a terminal.
    return tqdm(total=total, desc=what, unit=unit, unit_scale=unit == "B", leave=False, disable=None)
