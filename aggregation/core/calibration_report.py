"""How true confidence is: calibration scored on gold that it has not seen, with its own uncertainty."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aggregation.core.calibration import FOLDS, SHIPPED_PRIOR, Prior, calibrate, check, gold_tasks, split
from aggregation.core.majority_vote import winners
from aggregation.core.votes import Floats, Ints

BINS = 10
REPEATS = 5
RESAMPLES = 1000
#: The interval leaves out this much on either side.
TAIL = 0.025
#: Log loss takes no probability as smaller.
FLOOR = 1e-15


class Bin(NamedTuple):
    """Tasks of like confidence: the mean stated, the share right, and how many they are (the mean over repeats)."""

    stated: float
    right: float
    n: float


@dataclass(frozen=True)
class CalibrationReport:
    """n_gold tasks, each scored by a calibration that has not seen its gold; means over repeats.

    ece: expected calibration error, 0..1: the distance of confidence from the share right in BINS equal-width bins of
    confidence, weighted by their tasks. It is above 0 even if confidence is true, by chance alone, so ece_interval, in
    which the true one lies with about 95 % probability, often lies lower. brier: squared error summed over labels,
    0..2. log_loss: of the true label, nats. accuracy: 0..1, ties at their expectation. auc: the chance that a right
    task is surer than a wrong one; None if there are not both. curve: the bins that are not empty, ascending.
    """

    n_gold: int
    ece: float
    ece_interval: tuple[float, float]
    brier: float
    log_loss: float
    accuracy: float
    auc: float | None
    curve: tuple[Bin, ...]


def cross_validate(
    posterior: Floats,
    vote_counts: Floats,
    gold: Ints,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    seed: int = 0,
    *,
    prior: Prior = SHIPPED_PRIOR,
) -> CalibrationReport:
    """Score `calibrate` on the gold of folds left out in turn, drawn anew for each repeat; equal seeds, equal folds.

    Arguments as those of `calibrate`. The posterior being cross-fitted, no gold is scored by what was fitted to it:
    neither by the calibration nor by the label model. Raises ValueError unless two tasks have gold and votes.
    """
    check(posterior, vote_counts, gold)
    known = gold_tasks(vote_counts, gold)
    if len(known) < 2:
        raise ValueError(f"{len(known)} tasks have gold and votes; cross-validation needs two")
    rounds = [held_out(posterior, vote_counts, gold, folds, seed + r, prior=prior) for r in range(repeats)]
    return score(rounds, gold[known], seed)


def score(rounds: Sequence[Floats], truth: Ints, seed: int = 0) -> CalibrationReport:
    """Score posteriors f8[n, K] of the same n >= 1 tasks, one for each repeat, against truth int[n].

    Brier, G. W.: Verification of Forecasts Expressed in Terms of Probability, Monthly Weather Review 78(1), 1950.
    """
    sure = np.array([rows.max(axis=1) for rows in rounds])
    right = np.array([rightness(rows, truth) for rows in rounds])
    ranked = [value for value in map(auc, sure, right) if value is not None]
    return CalibrationReport(
        n_gold=len(truth),
        ece=float(np.mean([ece(*each) for each in zip(sure, right, strict=True)])),
        ece_interval=ece_interval(sure, right, seed),
        brier=float(np.mean([brier(rows, truth) for rows in rounds])),
        log_loss=float(np.mean([log_loss(rows, truth) for rows in rounds])),
        accuracy=float(right.mean()),
        auc=float(np.mean(ranked)) if ranked else None,
        curve=tuple(_curve(sure, right)),
    )


def held_out(
    posterior: Floats, vote_counts: Floats, gold: Ints, folds: int, seed: int, *, prior: Prior = SHIPPED_PRIOR
) -> Floats:
    """Calibrated posterior f8[n, K] of the n tasks with gold and votes, ascending; each learnt without its fold."""
    known = gold_tasks(vote_counts, gold)
    rows = np.empty((len(known), posterior.shape[1]))
    for part in split(len(known), folds, seed):
        rest = gold.copy()
        rest[known[part]] = -1
        calibration = calibrate(posterior, vote_counts, rest, prior=prior)
        rows[part] = calibration.apply(posterior[known[part]], vote_counts[known[part]])
    return rows


def rightness(posterior: Floats, truth: Ints) -> Floats:
    """1 where the most probable label is true, 0 where not, f8[n]; a share where it is tied."""
    return np.asarray(winners(posterior)[np.arange(len(truth)), truth])


def ece(sure: Floats, right: Floats) -> float:
    """Expected calibration error of confidence f8[n] against rightness f8[n], 0..1."""
    return float(np.abs(np.bincount(bin_of(sure), sure - right, minlength=BINS)).sum() / len(sure))


def brier(posterior: Floats, truth: Ints) -> float:
    """The squared distance of a posterior f8[n, K] from the truth int[n], summed over labels, 0..2; mean over tasks."""
    return float(((posterior**2).sum(axis=1) - 2 * _of_truth(posterior, truth) + 1).mean())


def log_loss(posterior: Floats, truth: Ints, floor: float = FLOOR) -> float:
    """Mean of - log p(true label), nats, p no less than floor. posterior: f8[n, K], truth: int[n]."""
    return float(-np.log(np.maximum(_of_truth(posterior, truth), floor)).mean())


def bin_of(sure: Floats) -> Ints:
    """The bin of each confidence, int32[n], 0..BINS-1."""
    return np.clip((sure * BINS).astype(np.int32), 0, BINS - 1)


def auc(sure: Floats, right: Floats) -> float | None:
    """The chance that a right task is surer than a wrong one, a tie counting half; None if all are right, or wrong."""
    # A task that is right in part, its labels having tied, is a part of either kind.
    _, group = np.unique(sure, return_inverse=True)
    rights, wrongs = np.bincount(group, right), np.bincount(group, 1.0 - right)
    pairs = rights.sum() * wrongs.sum()
    return float(rights @ (np.cumsum(wrongs) - 0.5 * wrongs) / pairs) if pairs else None


def ece_interval(sure: Floats, right: Floats, seed: int = 0) -> tuple[float, float]:
    """Bounds of the true calibration error, 0..1, in about 95 % of crowds around it. sure, right: f8[repeats, n].

    The bootstrap (Davison and Hinkley: Bootstrap Methods and their Application, 1997, doi:10.1017/CBO9780511802843),
    but for one thing: what n tasks drawn again add up to in each bin is drawn from the normal distribution of the same
    mean and covariance, at a cost that does not grow with n.

    Drawing again adds to the error what chance alone makes of it; both bounds leave that out. Near 0 no bootstrap is
    to be trusted, for an error cannot be less: there the lower bound is 0 if true confidence would do as badly.
    """
    random, (repeats, n) = np.random.default_rng(seed), sure.shape
    place = bin_of(sure) + BINS * np.arange(repeats, dtype=np.int32)[:, None]
    gaps = sure - right
    mean = np.bincount(place.ravel(), gaps.ravel(), minlength=repeats * BINS) / n
    found = float(_errors(mean, repeats))
    spread = _products(place, lambda r, s: gaps[r] * gaps[s]) / n - np.outer(mean, mean)
    again = _errors(_normal(random, mean, spread / n), repeats)
    highest = float(np.quantile(again, 1 - TAIL))
    low, high = 2 * found - highest, highest - (float(again.mean()) - found)
    if low > 0:  # Were confidence true, repeats would be right together: one draw decides them all.
        by_chance = _products(place, lambda r, s: np.minimum(sure[r], sure[s]) - sure[r] * sure[s]) / n
        true = _errors(_normal(random, np.zeros_like(mean), by_chance / n), repeats)
        low = low if found > np.quantile(true, 1 - TAIL) else 0.0
    return max(0.0, low), min(1.0, high)


def _curve(sure: Floats, right: Floats) -> Iterator[Bin]:
    repeats = len(sure)
    place = bin_of(sure.ravel())
    tasks = np.bincount(place, minlength=BINS)
    stated, true = (np.bincount(place, values.ravel(), minlength=BINS) for values in (sure, right))
    for b in np.flatnonzero(tasks):
        yield Bin(float(stated[b] / tasks[b]), float(true[b] / tasks[b]), float(tasks[b] / repeats))


def _of_truth(posterior: Floats, truth: Ints) -> Floats:
    return np.asarray(posterior[np.arange(len(truth)), truth])


def _products(place: Ints, of: Callable[[int, int], Floats]) -> Floats:
    """Sums over tasks of products f8[n] of repeats r and s, by the bins of both: f8[B, B] of B places."""
    repeats = len(place)
    B = repeats * BINS
    sums = np.zeros(B * B)
    for r in range(repeats):
        for s in range(repeats):
            sums += np.bincount(place[r] * B + place[s], of(r, s), minlength=B * B)
    return sums.reshape(B, B)


def _normal(random: np.random.Generator, mean: Floats, covariance: Floats) -> Floats:
    """RESAMPLES draws, f8[RESAMPLES, B]."""
    return random.multivariate_normal(
        mean, covariance, RESAMPLES, check_valid="ignore"
    )  # singular where bins are empty


def _errors(sums: Floats, repeats: int) -> Floats:
    """From gaps f8[..., B] in bins, the mean over repeats of their summed distances, f8[...]."""
    return np.asarray(np.abs(sums).sum(axis=-1) / repeats)
