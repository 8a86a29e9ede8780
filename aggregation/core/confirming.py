"""Confirming: people who are shown what the machine says. Do they look, or follow?"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from aggregation.core.live import task_prior
from aggregation.core.votes import Floats

#: Of a 95 % interval.
Z = 1.959964


@dataclass(frozen=True)
class Anchoring:
    """By how many points more people agree with the machine where they see its answer than where they don't.

    points: in -100..100; low, high: its 95 % interval.
    """

    points: float
    low: float
    high: float


def anchoring(shown_agreed: int, shown: int, blind_agreed: int, blind: int) -> Anchoring | None:
    """Anchoring from so many votes with the machine's answer in sight, and without; None where one of them is 0.

    Newcombe's hybrid score interval: Newcombe, R. G.: Interval estimation for the difference between independent
    proportions, Statistics in Medicine 17(8), 1998, method 10
    (doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I). Votes count as independent, so that it is
    too narrow where few people gave many of them. Raises ValueError for more that agreed than votes.
    """
    if not (0 <= shown_agreed <= shown and 0 <= blind_agreed <= blind):
        raise ValueError(f"{shown_agreed} of {shown} and {blind_agreed} of {blind} agreed; expected no more than all")
    if shown == 0 or blind == 0:
        return None
    p, q = shown_agreed / shown, blind_agreed / blind
    p_low, p_high = _wilson(shown_agreed, shown)
    q_low, q_high = _wilson(blind_agreed, blind)
    low = p - q - sqrt((p - p_low) ** 2 + (q_high - q) ** 2)
    high = p - q + sqrt((p_high - p) ** 2 + (q - q_low) ** 2)
    return Anchoring(100.0 * (p - q), 100.0 * max(low, -1.0), 100.0 * min(high, 1.0))


def _wilson(successes: int, n: int) -> tuple[float, float]:
    """Wilson's score interval of a proportion."""
    p, z2 = successes / n, Z * Z
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z * sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return middle - half, middle + half


def sharpened(prediction: Floats, weight: float) -> Floats:
    """A prediction f8[K], or predictions f8[n, K], as sure as they are right out of fold: to the power of `weight`.

    weight: from 0 up, as `core.prediction` measures it; 0 says nothing of any label.
    """
    K = np.shape(prediction)[-1]
    return task_prior(np.full(K, 1.0 / K), prediction, weight)
