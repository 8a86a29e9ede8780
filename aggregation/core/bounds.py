"""Certified bounds: at least this share of a frozen set of labels is right, however often one looks at the audit.

N labels are frozen, C of them right, and tasks are audited one by one, each drawn at random from those that remain. To
refute the hypothesis that C is only c, bet against it. Before a draw R tasks remain, r of them right if c is true. A
bettor who believes that q > r of them are right multiplies the wealth by the likelihood ratio

    q / r              if the label drawn is right,
    (R - q) / (R - r)  if it is wrong,

whose expectation under c is 1 if each of them is drawn with chance 1 / R. Where task i is drawn with probability
p[i], positive for all that remain and fixed before the draw, the draw counts for the share s[i] = min(p) / p[i] of an
even one and multiplies the wealth by 1 + b * s * (ratio - 1). As p * s is the same for all tasks, the expectation is 1
again, for every b fixed before the draw that keeps wealth from falling below 0.

Wealth is thus a nonnegative martingale that starts at 1, and so is a weighted mean over bettors. By Ville's inequality
it ever reaches 1 / alpha with probability at most alpha, at all looks together. Wealth falls as c rises (see
`Betting.alternatives`), so the hypotheses refuted are all those below one number: the bound. It also rises with every
outcome, so an audit that is not answered yet may count as wrong.

Robbins, H.: Statistical Methods Related to the Law of the Iterated Logarithm, Annals of Mathematical Statistics 41(5),
1970, doi:10.1214/aoms/1177696786. Howard, S. R. et al.: Time-uniform, nonparametric, nonasymptotic confidence
sequences, Annals of Statistics 49(2), 2021, doi:10.1214/20-AOS1991. Waudby-Smith, I. and Ramdas, A.: Estimating means
of bounded random variables by betting, Journal of the Royal Statistical Society B 86(1), 2024,
doi:10.1093/jrsssb/qkad009; Confidence sequences for sampling without replacement, NeurIPS 2020, arXiv:2006.04347.
Shekhar, S. et al.: Risk-limiting Financial Audits via Weighted Sampling without Replacement, UAI 2023,
arXiv:2305.06884.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

from aggregation.core.votes import Floats

Bools = NDArray[np.bool_]
Ids = NDArray[np.int64]

#: Each bettor is quickest where about so many audits decide. With a quarter less weight for each four times as many,
#: the bound is about as tight after 50 audits as after thousands (`benchmarks/bounds.py`).
HORIZONS = 40.0 * 4.0 ** np.arange(8)
WEIGHTS = 0.75 ** np.arange(8) / (0.75 ** np.arange(8)).sum()

#: `lower_bounds` tests at most so many hypotheses for the looks before the last.
PATH_STEPS = 400


def lower_bounds(right: Bools, n_tasks: int, share: Floats | None = None, alpha: float = 0.05) -> Floats:
    """The bound after each audit, f8[n] in 0..1, in time proportional to n. It falls only when an audit disproves it.

    right: bool[n], whether each audited label was right, in the order drawn from n_tasks labels. share: f8[n] in (0,
    1], see `Audits.share`; None if all draws were even. The last bound is exact; those before are rounded down, by at
    most 0.004 and less near 1. Raises ValueError for a share or alpha out of range and for more audits than labels.
    """
    right = np.asarray(right, np.bool_)
    share = np.ones(len(right)) if share is None else share
    check_share("share", share, len(right))
    betting = Betting(right, share, n_tasks, alpha)
    final = betting.bound()
    angle = np.linspace(0.0, np.arcsin(np.sqrt(final / n_tasks)), PATH_STEPS)
    counts = np.unique(np.append(np.floor(n_tasks * np.sin(angle) ** 2), final - 1.0))
    counts = counts[(counts >= 0) & (counts < final)].astype(np.int64)
    refuted_at = np.array([betting.refuted_at(int(count)) for count in counts], np.int64)
    path = np.zeros(len(right))
    np.maximum.at(path, refuted_at, (counts + 1) / n_tasks)
    return np.asarray(np.minimum(np.maximum.accumulate(path), betting.most_right / n_tasks))


def draw_audits(weight: Floats, n: int, seed: int) -> tuple[Ids, Floats, Floats]:
    """The first n of all tasks in a random order by weight: (row int64[n], probability f8[n], least f8[n]).

    weight: f8[N], positive. Each draw takes one of the tasks that remain with probability in proportion to its weight.
    The same weights and seed give the same order, so a larger n goes on where a smaller one ended. Efraimidis, P. S.
    and Spirakis, P. G.: Weighted random sampling with a reservoir, Information Processing Letters 97(5), 2006,
    doi:10.1016/j.ipl.2005.11.003. Raises ValueError naming the first bad weight.
    """
    weight = np.asarray(weight, np.float64)
    refuse("weight", weight, ~(np.isfinite(weight) & (weight > 0)), "a positive number")
    order = np.argsort(np.random.default_rng(seed).standard_exponential(len(weight)) / weight, kind="stable")
    backwards = weight[order][::-1]
    total = backwards.cumsum()[::-1][:n]
    least = np.minimum.accumulate(backwards)[::-1][:n]
    return order[:n].astype(np.int64), weight[order[:n]] / total, least / total


class Betting:
    """Bets on one sequence of audits against every hypothesis about how many of the labels are right.

    right: bool[n], in the order drawn. share: f8[n] in (0, 1]. Raises ValueError for an alpha outside (0, 1) and for
    more audits than labels.
    """

    def __init__(self, right: Bools, share: Floats, n_tasks: int, alpha: float) -> None:
        if not 0.0 < alpha < 1.0:
            raise ValueError(f"alpha is {alpha}; expected a number between 0 and 1, such as 0.05")
        if len(right) > n_tasks:
            raise ValueError(f"{len(right)} audits of {n_tasks} labels; each label can be audited once")
        self.right, self.share, self.n_tasks, self.alpha = right, share, n_tasks, alpha
        self.remaining = n_tasks - np.arange(len(right))
        self.seen = right.cumsum()
        self.most_right = n_tasks - (~right).cumsum()
        # Draws that count little are made up for by higher stakes: E[s] / E[s**2], as far as earlier draws tell. What
        # is lost at once stays at most the whole, as stakes rise the less the more a bet puts at risk.
        self.boost = (1.0 + share.cumsum() - share) / (1.0 + (share**2).cumsum() - share**2)

    def fewest_right(self) -> int:
        """How many labels are right at least, 0..N: the bound, unless more were seen to be wrong than it allows."""
        return min(self.bound(), int(self.most_right[-1])) if len(self.right) else 0

    def bound(self) -> int:
        """The smallest number of right labels, 0..N, that is not refuted."""
        n = len(self.right)
        return bisect_left(range(self.n_tasks), True, key=lambda count: self.refuted_at(count) == n)

    def refuted_at(self, count: int) -> int:
        """Row of the audit that refutes the hypothesis that `count` labels are right; n if none does."""
        wealth = WEIGHTS @ np.exp(np.minimum(self.log_wealth(count), 700.0))
        refuted = (wealth >= 1.0 / self.alpha) | (self.seen > count)
        return int(refuted.argmax()) if refuted.any() else len(refuted)

    def log_wealth(self, count: int) -> Floats:
        """Log of each bettor's wealth after each audit, f8[bettors, n]."""
        seen = self.seen - self.right
        null = np.minimum(count - seen, self.remaining)
        believed = np.minimum(self.alternatives(count)[:, None] - seen, self.remaining)
        with np.errstate(divide="ignore", invalid="ignore"):
            # The share of the wealth that a wrong label takes, 1 - likelihood ratio: all of it if there should be none.
            risk = np.where(null < self.remaining, (believed - null) / (self.remaining - null), 1.0)
            odds = np.where(self.right, (self.remaining - null) / null, -1.0)
        odds = np.where(null > 0, odds, 0.0)  # no more bets: the next right label refutes the hypothesis by itself
        stake = self.share * self.boost * risk / (1.0 + (self.boost - 1.0) * risk)
        with np.errstate(divide="ignore"):
            return np.log1p(np.maximum(stake * odds, -1.0)).cumsum(axis=1)  # below -1 by rounding only

    def alternatives(self, count: int) -> Floats:
        """How many labels each bettor believes to be right, f8[bettors], if c = count is to be refuted.

        If h audits decide, the best belief has h * KL(belief, hypothesis) = log(1 / alpha), and KL is nearly twice the
        squared difference of the angles arcsin(sqrt(share right)). With a constant difference of angles, belief / c and
        (N - belief) / (N - c) both fall as c rises, and with them what every bet multiplies the wealth by.
        """
        angle = np.arcsin(np.sqrt(count / self.n_tasks)) + np.sqrt(-np.log(self.alpha) / (2.0 * HORIZONS))
        return np.asarray(self.n_tasks * np.sin(np.minimum(angle, np.pi / 2)) ** 2)


def check_share(field: str, values: Floats, n: int) -> None:
    if np.shape(values) != (n,):
        raise ValueError(f"{field} has shape {np.shape(values)}; expected ({n},)")
    refuse(field, values, ~((values > 0) & (values <= 1)), "more than 0 and at most 1")


def refuse(field: str, values: NDArray[np.generic], bad: Bools, expected: str) -> None:
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"{field} in row {row} is {values[row]}; expected {expected}")
