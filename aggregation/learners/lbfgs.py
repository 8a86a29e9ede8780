"""Limited-memory BFGS for smooth convex functions of many parameters.

Nocedal, J.: Updating quasi-Newton matrices with limited storage, Mathematics of Computation 35(151), 1980,
doi:10.1090/S0025-5718-1980-0572855-7, with Armijo's rule for the length of a step. scipy's version also minds bounds on
the parameters, which costs it many times more per step than the function itself does here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Loss = Callable[[Floats], tuple[float, Floats]]

#: Steps that are remembered, fewer where they would take more than so many bytes: each is two vectors.
MEMORY, FEWEST = 8, 2
MOST_BYTES = 256 * 1024**2
MOST_HALVINGS = 30


def minimise(loss: Loss, start: Floats, *, tolerance: float, max_iter: int) -> Floats:
    """Parameters f8[P] near the minimum of `loss`, which gives its value and gradient f8[P].

    Stops when a step gains less than `tolerance` of the value, or nothing. Steps are best near length 1: scale the
    parameters so that curvatures are.
    """
    x = start
    value, gradient = loss(x)
    steps: deque[tuple[Floats, Floats, float]] = deque(maxlen=remembered(len(start)))
    for _ in range(max_iter):
        direction = _direction(gradient, steps)
        found = _step(loss, x, value, _dot(gradient, direction), direction)
        if found is None:
            return x
        new, new_value, new_gradient = found
        moved, changed = new - x, new_gradient - gradient
        if (curvature := _dot(moved, changed)) > 0:
            steps.append((moved, changed, 1.0 / curvature))
        gained = value - new_value
        x, value, gradient = new, new_value, new_gradient
        if gained <= tolerance * abs(value):
            return x
    return x


def remembered(parameters: int) -> int:
    return int(np.clip(MOST_BYTES // (2 * 8 * max(parameters, 1)), FEWEST, MEMORY))


def _direction(gradient: Floats, steps: deque[tuple[Floats, Floats, float]]) -> Floats:
    """Down the gradient as the curvature seen along earlier steps bends it: the two-loop recursion."""
    direction = -gradient
    weights = []
    for moved, changed, inverse in reversed(steps):
        weight = inverse * _dot(moved, direction)
        direction -= weight * changed
        weights.append(weight)
    if steps:
        _, changed, inverse = steps[-1]
        direction /= inverse * _dot(changed, changed)
    for (moved, changed, inverse), weight in zip(steps, reversed(weights), strict=True):
        direction += (weight - inverse * _dot(changed, direction)) * moved
    return direction


def _step(loss: Loss, x: Floats, value: float, slope: float, direction: Floats) -> tuple[Floats, float, Floats] | None:
    """The first of the steps 1, 1/2, 1/4, .. that gains a little of what its slope promises; None if none does."""
    length = 1.0
    for _ in range(MOST_HALVINGS if slope < 0 else 0):
        new = x + length * direction
        new_value, new_gradient = loss(new)
        if new_value <= value + 1e-4 * length * slope:
            return new, new_value, new_gradient
        length /= 2.0
    return None


def _dot(one: Floats, other: Floats) -> float:
    """Not `@`: BLAS wakes a thread for every processor, which for vectors cost more than they gained."""
    return float(np.einsum("i,i", one, other))
