"""Cost-quality curves as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from aggregation.core.votes import Floats
from aggregation.offline.markup import Html, tag
from aggregation.offline.plots import drawing, line, scale, words

COLOURS = 6
#: On light and on dark pages; told apart by most who see colours differently (Okabe and Ito).
STYLE = """
.curve { fill: none; stroke-width: 2; } .band { stroke: none; opacity: .15; }
.c0 { stroke: #0072b2; } .c1 { stroke: #d55e00; } .c2 { stroke: #009e73; } .c3 { stroke: #cc79a7; }
.c4 { stroke: #e69f00; }
.c5 { stroke: #56b4e9; } .b0 { fill: #0072b2; } .b1 { fill: #d55e00; } .b2 { fill: #009e73; } .b3 { fill: #cc79a7; }
.b4 { fill: #e69f00; } .b5 { fill: #56b4e9; }
"""


class Curve(Protocol):
    """f8[M] each: accuracy, and the bounds of its band, by share of the votes."""

    @property
    def share(self) -> Floats: ...
    @property
    def accuracy(self) -> Floats: ...
    @property
    def low(self) -> Floats: ...
    @property
    def high(self) -> Floats: ...


def standalone(lines: Sequence[tuple[str, Curve]]) -> Html:
    """The curves as an SVG file."""
    style = "svg text { fill: #57606a; font: 12px system-ui, sans-serif; } .grid { stroke: #8886; stroke-width: .6; }"
    inner = curves(lines, None).partition("<svg")[2].rpartition("</svg>")[0]
    return Html(f'<svg xmlns="http://www.w3.org/2000/svg"{inner}<style>{style}{STYLE}</style></svg>\n')


def curves(lines: Sequence[tuple[str, Curve]], majority: float | None) -> Html:
    """Accuracy by share of votes, a line and a band for each policy, and majority vote's on all votes, if given."""
    lowest = min(float(curve.low[len(curve.low) // 10 :].min()) for _, curve in lines)
    floor = np.floor(min(lowest, 1.0 if majority is None else majority) * 20) / 20
    top = np.ceil(max(float(curve.high.max()) for _, curve in lines) * 20) / 20
    x, height = scale(52, 500), scale(300, 12)

    def y(accuracy: float) -> float:
        return height((max(accuracy, floor) - floor) / (top - floor))

    drawn = []
    for step in range(6):
        at, up = step / 5, floor + (top - floor) * step / 5
        drawn += [line(x(at), y(floor), x(at), y(top), "grid"), line(x(0), y(up), x(1), y(up), "grid")]
        drawn += [words(x(at), 317, f"{at:.0%}", "middle"), words(x(0) - 6, y(up) + 4, f"{up:.2f}", "end")]
    drawn.append(words(x(0.5), 337, "share of the recorded votes", "middle"))
    if majority is not None:
        drawn.append(line(x(0), y(majority), x(1), y(majority), "ideal"))
    for number, (name, curve) in enumerate(lines):
        above = [(x(s), y(a)) for s, a in zip(curve.share, curve.high, strict=True)]
        below = [(x(s), y(a)) for s, a in zip(curve.share, curve.low, strict=True)]
        mean = [(x(s), y(a)) for s, a in zip(curve.share, curve.accuracy, strict=True)]
        colour = number % COLOURS
        drawn.append(tag("polygon", points=_points(above + below[::-1]), class_=f"band b{colour}"))
        drawn.append(tag("polyline", tag("title", name), points=_points(mean), class_=f"curve c{colour}"))
        row = 286 - 16 * (len(lines) - 1 - number)
        drawn += [line(x(0.62), row - 4, x(0.67), row - 4, f"curve c{colour}"), words(x(0.68), row, name, "start")]
    return drawing(520, 346, "Accuracy by share of the recorded votes", drawn)


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
