"""What `loop.py` measures beside its comparison: the stopping rule, and a learner's gain."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t

from aggregation.core.calibration_report import rightness
from aggregation.core.cost_quality import cost_quality, full
from aggregation.core.policy import Policy
from aggregation.core.replay import REFITS, Replayed
from aggregation.core.simulation import digit_crowd
from aggregation.core.votes import Floats, Ints, Votes
from aggregation.offline.backtest import run
from aggregation.offline.files import source
from aggregation.offline.learning import FEATURES, Material, read_features, read_items
from aggregation.offline.policies import read_policy
from benchmarks import datasets, loop, scores
from benchmarks.accuracy import calibrated

TARGET, GOLD = 0.95, 50
#: Votes on each digit by the simulated crowd.
DIGIT_VOTES = 5
#: How sure the lower limits are of a difference, one-sided.
SURE = 0.95


def stopping(options: argparse.Namespace) -> dict[str, Any]:
    """By crowd, and the mean over crowds and over all seeds."""
    found: dict[str, Any] = {}
    for data in loop.crowds(options):
        gold = min(GOLD, len(data.gold_tasks) // 2)
        policy = replace(read_policy(options.policy), target_confidence=TARGET, gold=gold)
        seeds = loop.seeds_for(data, options.seeds)
        replays = list(run(data.votes, data.gold, policy, seeds, name=f"{data.name}: stopping"))
        each = [_stopped(data, policy.label_model, replayed) for replayed in replays]
        found[data.name] = _of_oracle(_mean(each))
        print(data.name, found[data.name], file=sys.stderr, flush=True)
    return {"datasets": found, "mean": _of_oracle(_mean(list(found.values())))}


def _of_oracle(means: dict[str, float | None]) -> dict[str, float | None]:
    """What was retired as a share of what could have been, at most 1: of the means, for one draw may allow none."""
    retired, most = means["retired"], means["could_retire"]
    assert retired is not None and most is not None
    return means | {"retired_of_oracle": min(retired / most, 1.0) if most else None}


def _stopped(data: datasets.Dataset, label_model: str, replayed: Replayed) -> dict[str, float | None]:
    open_ = (data.gold >= 0) & ~replayed.known
    mine = np.flatnonzero(open_ & (replayed.reason == "target"))
    right = rightness(replayed.posterior[mine], data.gold[mine])
    stated = replayed.posterior[mine].max(axis=1)
    told = np.where(replayed.known, data.gold, np.int32(-1)).astype(np.int32)
    everything = calibrated(label_model, data.votes, told)[open_]
    most = scores.oracle(everything.max(axis=1), rightness(everything, data.gold[open_]))
    return {
        "right": float(right.mean()) if len(mine) else None,
        "stated_minus_right": float(stated.mean() - right.mean()) if len(mine) else None,
        "retired": len(mine) / int(open_.sum()),
        "could_retire": most / int(open_.sum()),
        "votes_used": len(replayed.revealed) / len(data.votes),
    }


def learner(options: argparse.Namespace) -> dict[str, Any]:
    """By crowd: both curves, their difference at each twentieth of the votes, and its lower 95 % limit."""
    found: dict[str, Any] = {}
    for name, votes, truth, material in _with_material(options):
        seeds = range(options.seeds if votes.n_tasks <= loop.LARGE else min(options.seeds, loop.FEW_SEEDS))
        alone, policy = arms(read_policy(options.policy), material)
        pupil = material.learnt_by(policy)
        without = list(run(votes, truth, alone, seeds, name=f"{name}: without"))
        taught = list(run(votes, truth, policy, seeds, pupil.teach, f"{name}: with", pupil.features))
        found[name] = _compared(without, taught, votes, truth)
        shown = {key: value for key, value in found[name].items() if not isinstance(value, dict | list)}
        print(name, shown, file=sys.stderr, flush=True)
    return {"datasets": found}


def arms(policy: Policy, material: Material) -> tuple[Policy, Policy]:
    """Without a learner, and with one: that which the policy names, or that which suits the data."""
    return replace(policy, learner=None), material.with_learner(policy)


def _compared(without: list[Replayed], taught: list[Replayed], votes: Votes, truth: Ints) -> dict[str, Any]:
    bars = full(votes, truth)
    curves = {name: cost_quality(each, votes, truth, bars) for name, each in (("without", without), ("with", taught))}
    steps = np.rint(np.linspace(0, REFITS, 21)[1:]).astype(int)
    gain = np.array([b.accuracy[steps] - a.accuracy[steps] for a, b in zip(without, taught, strict=True)])
    low = lower_limit(gain)
    needs = {name: curve.votes_to_majority for name, curve in curves.items()}
    return {
        "difference": gain.mean(axis=0).tolist(),
        "difference_low": None if low is None else low.tolist(),
        "lowest_limit": None if low is None else float(low.min()),
        "votes_to_majority_without": needs["without"],
        "votes_to_majority_with": needs["with"],
        "fewer_votes": 1.0 - needs["with"] / needs["without"] if needs["without"] else None,
        "curves": {name: curve.as_json() for name, curve in curves.items()},
    }


def lower_limit(gain: Floats) -> Floats | None:
    """One-sided limits below the mean of n rows, f8[n, m], by Student's t; None of one row, which tells no error."""
    n = len(gain)
    if n < 2:
        return None
    return np.asarray(gain.mean(axis=0) - t.ppf(SURE, n - 1) * gain.std(axis=0, ddof=1) / np.sqrt(n))


def _with_material(options: argparse.Namespace) -> Iterator[tuple[str, Votes, Ints, Material]]:
    """Crowds with texts or features, and simulated readers of scikit-learn's digits."""
    import pyarrow as pa

    names = options.datasets or ["sentpol", "leaves", "digits"]
    if "digits" in names:
        yield "digits", *_digits()
    recorded = [name for name in names if name != "digits"]
    if not recorded:
        return
    for data in loop.crowds(argparse.Namespace(**{**vars(options), "datasets": recorded})):
        folder, tasks = Path(options.data) / data.name, pa.array(data.tasks, pa.string())
        features = folder / "features.npz"
        material = (
            read_features(str(features), tasks)
            if features.is_file()
            else read_items(source(str(folder / "items.csv.gz")), tasks)
        )
        yield data.name, data.votes, data.gold, material


def _digits() -> tuple[Votes, Ints, Material]:
    from sklearn.datasets import load_digits

    found = load_digits()
    truth = found.target.astype(np.int32)
    answers = digit_crowd(truth, seed=0)
    A, T = answers.shape
    random = np.random.default_rng(0)
    annotator = np.argsort(random.random((T, A)), axis=1)[:, :DIGIT_VOTES].ravel().astype(np.int32)
    task = np.repeat(np.arange(T, dtype=np.int32), DIGIT_VOTES)
    votes = Votes(task, annotator, answers[annotator, task], T, A, 10)
    payloads = [{FEATURES: row} for row in np.asarray(found.data, dtype=np.float64)]
    return votes, truth, Material(payloads, (FEATURES,), "numeric", "digits")


def _mean(rows: list[dict[str, float | None]]) -> dict[str, float | None]:
    """Key by key, of what is defined."""
    values: dict[str, list[Floats]] = {key: [row[key] for row in rows if row[key] is not None] for key in rows[0]}
    return {key: float(np.mean(defined)) if defined else None for key, defined in values.items()}
