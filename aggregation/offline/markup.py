"""HTML and SVG in which nothing that people typed can be anything but text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

#: Control characters are no part of HTML, even escaped; overrides of direction would turn the text around them.
NOT_SHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")


class Html(str):
    """Text that is markup already; only `tag` and constants of this package make it."""


def tag(name: str, *children: str, **attributes: object) -> Html:
    """An element. Children that are not Html are escaped; class_ stands for class, font_size for font-size."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_plain(str(value)))}"' for key, value in attributes.items()
    )
    return Html(f"<{name}{written}>{text(*children)}</{name}>")


def text(*children: str) -> Html:
    """Children one after the other, escaped unless they are Html."""
    return Html("".join(child if isinstance(child, Html) else escape(_plain(child)) for child in children))


def table(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> Html:
    """A table in a box that scrolls on a narrow screen; cells that look like figures are set as figures."""
    head = tag("tr", *(tag("th", name, scope="col") for name in header))
    body = [tag("tr", *(_cell(cell) for cell in row)) for row in rows]
    shown = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body))
    return tag("div", shown, class_="scroll", tabindex=0, role="region", aria_label=caption)


class Figure(str):
    """A number as text."""


def _cell(cell: str) -> Html:
    return tag("td", cell, class_="figure") if isinstance(cell, Figure) else tag("td", cell)


def _plain(value: str) -> str:
    return NOT_SHOWN.sub("\ufffd", value)
