"""Numbers in sentences."""

from __future__ import annotations

from collections.abc import Sequence


def count(n: int, one: str, many: str | None = None) -> str:
    """ "1 task", "2,000 tasks"; many where it is not one with an s."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def listed(names: Sequence[str], shown: int = 8, longest: int = 40) -> str:
    """The first so many names in quotes, long ones cut."""
    cut = [repr(name if len(name) <= longest else name[: longest - 1] + "…") for name in names[:shown]]
    return ", ".join(cut) + (f" and {len(names) - shown} more" if len(names) > shown else "")
