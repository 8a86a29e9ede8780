"""The report's plots as inline SVG: no script, readable in print; each says in a sentence what it shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from aggregation.offline.markup import Html, tag, text
from aggregation.offline.words import count

Scale = Callable[[float], float]

LONGEST_NAME = 17


def reliability(bins: Sequence[dict[str, Any]]) -> Html:
    """How often tasks were right, by stated confidence; on the diagonal confidence is true."""
    x, y = scale(48, 348), scale(300, 10)
    most = max(bin["tasks"] for bin in bins)
    marks = []
    for bin in bins:
        low, high = bin["right_interval"]
        at = x(bin["confidence"])
        marks.append(line(at, y(low), at, y(high), "whisker"))
        radius = 3 + 7 * (bin["tasks"] / most) ** 0.5
        hint = tag("title", f"{count(bin['tasks'], 'task')}, stated {bin['confidence']:.2f}, right {bin['right']:.2f}")
        marks.append(tag("circle", hint, cx=_px(at), cy=_px(y(bin["right"])), r=_px(radius), class_="dot"))
    drawn = [*_axes(x, y, "stated confidence", "share right"), line(x(0), y(0), x(1), y(1), "ideal"), *marks]
    return drawing(360, 346, "Reliability curve: share of gold tasks that were right by stated confidence", drawn)


def histogram(counts: Sequence[int]) -> Html:
    """Tasks by confidence, bins of equal width over 0..1."""
    width, most = 1 / len(counts), max(counts)
    x, y = scale(56, 408), scale(190, 16)
    bars = []
    for number, n in enumerate(counts):
        left, top = x(number * width), y(n / most)
        hint = tag("title", f"{count(n, 'task')} at {number * width:.2f} to {(number + 1) * width:.2f}")
        size = {"width": _px(x(width) - x(0) - 2), "height": _px(y(0) - top)}
        bars.append(tag("rect", hint, x=_px(left + 1), y=_px(top), class_="bar", **size))
    ticks = [words(x(at / 5), 208, f"{at / 5:.1f}", "middle") for at in range(6)]
    frame = [
        line(x(0), y(0), x(1), y(0), "axis"),
        words(50, y(1) + 4, f"{most:,}", "end"),
        words(50, 194, "0", "end"),
    ]
    title = "Tasks by confidence"
    return drawing(
        420, 236, title, [*frame, *bars, *ticks, words(x(0.5), 229, "confidence of the consensus", "middle")]
    )


def skills(rows: Sequence[dict[str, Any]]) -> Html:
    """Skill of annotators with its 95 % interval, one line each, in the order given."""
    step, top = 19, 14
    bottom = top + step * len(rows)
    x = scale(132, 408)
    drawn = [line(x(at / 5), top, x(at / 5), bottom, "grid") for at in range(6)]
    for number, row in enumerate(rows):
        at = top + step * (number + 0.5)
        name = row["worker"]
        shown = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
        hint = tag("title", f"{name}: {row['skill']:.2f} ({row['skill_low']:.2f} to {row['skill_high']:.2f})")
        drawn += [
            words(124, at + 4, shown, "end"),
            line(x(row["skill_low"]), at, x(row["skill_high"]), at, "whisker"),
            tag("circle", hint, cx=_px(x(row["skill"])), cy=_px(at), r=4, class_="dot"),
        ]
    drawn += [words(x(at / 5), bottom + 16, f"{at / 5:.1f}", "middle") for at in range(6)]
    drawn.append(words(x(0.5), bottom + 34, "skill: expected share right, 95 % interval", "middle"))
    return drawing(420, bottom + 42, "Skill of annotators with 95 % intervals", drawn)


def _axes(x: Scale, y: Scale, across: str, up: str) -> list[Html]:
    drawn = []
    for number in range(6):
        at = number / 5
        drawn += [line(x(at), y(0), x(at), y(1), "grid"), line(x(0), y(at), x(1), y(at), "grid")]
        drawn += [words(x(at), y(0) + 17, f"{at:.1f}", "middle"), words(x(0) - 6, y(at) + 4, f"{at:.1f}", "end")]
    middle = _px(y(0.5))
    turned = tag("text", up, x=14, y=middle, text_anchor="middle", transform=f"rotate(-90 14 {middle})")
    return [*drawn, words(x(0.5), y(0) + 37, across, "middle"), turned]


def drawing(width: int, height: int, title: str, drawn: Sequence[Html]) -> Html:
    svg = tag("svg", text(*drawn), viewBox=f"0 0 {width} {height}", role="img", aria_label=title)
    # Wide screens must not blow it up; narrow ones may shrink it.
    return tag("div", svg, class_="plot", style=f"max-width:{width * 1.3:.0f}px")


def scale(at_zero: float, at_one: float) -> Scale:
    return lambda value: at_zero + value * (at_one - at_zero)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Html:
    return tag("line", x1=_px(x1), y1=_px(y1), x2=_px(x2), y2=_px(y2), class_=kind)


def words(x: float, y: float, words: str, anchor: str) -> Html:
    return tag("text", words, x=_px(x), y=_px(y), text_anchor=anchor)


def _px(value: float) -> str:
    return f"{value:.1f}"
