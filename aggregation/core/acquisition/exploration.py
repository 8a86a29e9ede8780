"""A share of what is asked is left to chance, and with which probability is recorded: what was chosen by score alone
says nothing about the rest, and no audit of it would be fair.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregation.core.votes import Floats

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Choice:
    """n tasks in the order drawn: row int64[n], each once, and whether it was left to chance, bool[n].

    probability, least: f8[n], the chance that the task had at its draw, and the smallest chance of any task that then
    remained, as `certificate.Audits` takes them (where the share is above 0).
    """

    row: Rows
    explored: NDArray[np.bool_]
    probability: Floats
    least: Floats


def explore(score: Floats, n: int, share: float, seed: int) -> Choice:
    """min(n, N) tasks: at each draw, with probability `share` any of those that remain, else the highest score.

    score: f8[N]; the first row wins ties. share: 0..1. Deterministic by seed, and a larger n goes on where a smaller
    one ended. Weighting what is found by 1 / probability makes estimates unbiased: Horvitz, D. G. and Thompson, D. J.:
    A Generalization of Sampling Without Replacement From a Finite Universe, Journal of the American Statistical
    Association 47(260), 1952, doi:10.1080/01621459.1952.10483446. Raises ValueError for a share outside 0..1.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share is {share}; expected 0 to 1")
    N = len(score)
    random = np.random.default_rng(seed)
    by_chance, explored = random.permutation(N), random.random(N)[: min(n, N)] < share
    by_score = np.argsort(-score, kind="stable")
    left = np.ones(N, np.bool_)
    row, is_best = np.empty(len(explored), np.int64), np.empty(len(explored), np.bool_)
    best = drawn = 0
    for draw, chance in enumerate(explored):
        while not left[by_score[best]]:
            best += 1
        while chance and not left[by_chance[drawn]]:
            drawn += 1
        row[draw] = by_chance[drawn] if chance else by_score[best]
        is_best[draw] = row[draw] == by_score[best]
        left[row[draw]] = False
    even = share / (N - np.arange(len(row)))
    last = np.arange(len(row)) == N - 1  # whatever is drawn, it is this one
    return Choice(row, explored, even + (1.0 - share) * is_best, np.where(last, 1.0, even))


def lots(ids: NDArray[np.integer], seed: int) -> Floats:
    """A number in 0..1 for each task, f8[N], as if drawn evenly and independently; the same whenever it is asked for.

    Exploring the tasks whose lot is below a share takes each with that probability, however a pool is cut into chunks
    and however often it is done: permanent random numbers (Ohlsson, E.: Coordination of Samples Using Permanent Random
    Numbers, in: Business Survey Methods, 1995, doi:10.1002/9781118150504.ch9). Mixed by SplitMix64 (Steele, G. L. et
    al.: Fast splittable pseudorandom number generators, OOPSLA 2014, doi:10.1145/2660193.2660195).
    """
    start = np.random.default_rng(seed).integers(1 << 64, dtype=np.uint64)
    z = np.asarray(ids).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + start
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(((z ^ (z >> np.uint64(31))) >> np.uint64(11)) / 2.0**53)
