"""What `aggregation.py` measures, one process for each measurement; prints JSON."""

from __future__ import annotations

import json
import statistics
import sys
import time
import timeit
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

PER_TASK, TASKS_PER_ANNOTATOR, LABELS, DIAGONAL = 5, 100, 4, 4.0
COLUMNS = ("task", "worker", "label")
ANIMALS = np.array(["cat", "dog", "horse", "sheep"])


def simulate(folder: str, size: str) -> None:
    random, T = np.random.default_rng(0), int(size) // PER_TASK
    A = max(T // TASKS_PER_ANNOTATOR, 2 * PER_TASK)
    truth = random.integers(LABELS, size=T)
    weights = random.standard_gamma(1.0 + DIAGONAL * np.eye(LABELS), (A, LABELS, LABELS))
    below = (weights / weights.sum(axis=2, keepdims=True)).cumsum(axis=2)
    # Steps around a circle of annotators: no one meets a task twice.
    first, step = random.integers(A, size=T), random.integers(1, A // PER_TASK, size=T)
    task = random.permutation(np.repeat(np.arange(T), PER_TASK))
    order = np.argsort(task, kind="stable")
    place = np.empty(len(task), dtype=np.int64)
    place[order] = np.tile(np.arange(PER_TASK), T)
    worker = (first[task] + step[task] * place) % A
    drawn = random.random(len(task))
    label = np.zeros(len(task), dtype=np.int64)
    for voted in range(LABELS - 1):
        label += drawn > below[worker, truth[task], voted]
    for name, column in zip((*COLUMNS, "truth"), (task, worker, label, truth), strict=True):
        np.save(Path(folder, f"{name}.npy"), column)


def table(folder: str, names: str) -> Any:
    import pandas as pd

    columns = {name: np.load(Path(folder, f"{name}.npy")) for name in COLUMNS}
    if names == "ints":
        return pd.DataFrame(columns)
    task, worker, label = columns.values()
    return pd.DataFrame(
        {
            "task": pd.Series(np.char.mod("task-%07d", np.arange(task.max() + 1))[task], dtype="str"),
            "worker": pd.Series(np.char.mod("worker-%05d", np.arange(worker.max() + 1))[worker], dtype="str"),
            "label": pd.Series(ANIMALS[label], dtype="str"),
        }
    )


def ours(folder: str, names: str, tolerance: str) -> dict[str, Any]:
    frame = table(folder, names)
    from aggregation.core import dawid_skene, em
    from aggregation.core.columns import encode

    def run(rows: Any) -> Any:
        encoded = encode(rows["task"], rows["worker"], rows["label"])
        return encoded, dawid_skene.fit(encoded.votes, tol=float(tolerance))

    few = frame[: em.COMPILED_ABOVE // LABELS]
    (first, _), (second, _) = timed(run, few), timed(run, few)
    seconds, (encoded, fit) = timed(run, frame)
    result = {"seconds": seconds, "peak_mb": peak_mb(), "iterations": fit.n_iter, "compile_seconds": first - second}
    task, label = numbers(encoded.tasks, "task-"), np.argsort(encoded.labels)
    posterior = np.empty_like(fit.posterior)
    posterior[task] = fit.posterior[:, label]
    np.save(Path(folder, "ours.npy"), posterior)
    return result | {"tolerance": float(tolerance)}


def crowd_kit(folder: str, names: str) -> dict[str, Any]:
    frame = table(folder, names)
    warnings.simplefilter("ignore")
    from crowdkit.aggregation import DawidSkene

    seconds, model = timed(lambda: DawidSkene().fit(frame))
    result = {"seconds": seconds, "peak_mb": peak_mb(), "iterations": len(model.loss_history_)}
    found = model.probas_.sort_index()
    np.save(Path(folder, "crowd_kit.npy"), found[sorted(found.columns)].to_numpy(dtype=np.float64))
    return result


def score(folder: str) -> dict[str, Any]:
    task, worker, label = (np.load(Path(folder, f"{name}.npy")) for name in COLUMNS)
    return {
        who: log_likelihood(task, worker, label, np.load(Path(folder, f"{who}.npy"))) for who in ("ours", "crowd_kit")
    }


def log_likelihood(task: Any, worker: Any, label: Any, posterior: Any) -> float:
    """Of the votes, under the parameters that are most likely given a posterior f8[T, K] (one M-step)."""
    T, K = posterior.shape
    cell = worker * K + label
    joint = np.tile(np.log(posterior.mean(axis=0)), (T, 1))
    for true in range(K):
        counts = np.bincount(cell, posterior[task, true], minlength=(worker.max() + 1) * K).reshape(-1, K)
        confusion = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-300)
        joint[:, true] += np.bincount(task, np.log(np.maximum(confusion, 1e-300)).ravel()[cell], minlength=T)
    top = joint.max(axis=1)
    return float((top + np.log(np.exp(joint - top[:, None]).sum(axis=1))).sum())


def later(folder: str) -> dict[str, Any]:
    """Live updates, and refits that begin from the last fit against cold ones, after 0.1 % new votes."""
    from aggregation.core import live
    from aggregation.core.label_models import DEFAULT_LABEL_MODEL, LABEL_MODELS
    from aggregation.core.votes import Votes

    columns = [np.load(Path(folder, f"{name}.npy")).astype(np.int32) for name in COLUMNS]
    sizes = [int(column.max()) + 1 for column in columns]
    new = max(len(columns[0]) // 1000, 1)
    before, newest = Votes(*(column[:-new] for column in columns), *sizes), [column[-new:] for column in columns]
    result: dict[str, Any] = {}
    for name in ("dawid_skene", "hierarchical_dawid_skene", DEFAULT_LABEL_MODEL):
        fit = LABEL_MODELS[name]
        fitted = fit(before)

        def refit(start: Any, fit: Any = fit) -> Any:
            votes = Votes(*columns, *sizes)  # anew, or what was worked out of them would be there already
            assert votes.by_task.row is not None
            return timed(lambda: fit(votes, start=start))

        refit(None)
        turns = [(refit(None), refit(fitted)) for _ in range(5 if name == "dawid_skene" else 3)]
        (_, cold), (_, warm) = turns[0]
        cold_seconds, warm_seconds = (statistics.median(turn[i][0] for turn in turns) for i in (0, 1))
        task, annotator, label = newest
        touched, rows = live.more_votes(live.states(fitted), task, live.likelihoods(fitted, annotator, label))
        result[name] = {
            "ratio": cold_seconds / warm_seconds,
            "cold_seconds": cold_seconds,
            "warm_seconds": warm_seconds,
            "cold_iterations": cold.n_iter,
            "warm_iterations": warm.n_iter,
            "objective_gained_per_vote": (warm.objective[-1] - cold.objective[-1]) / len(columns[0]),
            "drift_of_touched": live.drift(live.labels(rows, LABELS), cold.posterior[touched]).__dict__,
            "warm_against_cold": live.drift(warm.posterior, cold.posterior).__dict__,
            "live_update_us": live_updates(live, fitted, *(column[-1000:] for column in columns)),
        }
    plain, default = result["dawid_skene"], result[DEFAULT_LABEL_MODEL]
    return {
        "live_update_us": plain["live_update_us"],
        "warm_ratio": plain["ratio"],
        "live_update_us_default": default["live_update_us"],
        "warm_ratio_default": default["ratio"],
        "later": result,
    }


def live_updates(live: Any, fit: Any, task: Any, annotator: Any, label: Any) -> dict[str, float]:
    """Microseconds per vote, the look-up of its likelihood included."""
    confusion = fit.confusion if fit.kinds is None else fit.kinds.confusion.transpose(0, 3, 1, 2)
    confusion = confusion.transpose(0, 2, 1) if fit.kinds is None else confusion.reshape(*confusion.shape[:2], -1)
    vectors, rows = np.ascontiguousarray(confusion), live.states(fit)
    votes = list(zip(task.tolist(), annotator.tolist(), label.tolist(), strict=True))

    def one_by_one() -> None:
        for t, a, v in votes:
            likelihood = live.vote_likelihood(
                v, LABELS, vectors[a, v], None, fit.pooled_accuracy, fit.pooled_errors[:, v]
            )
            live.one_more_vote(rows[t], likelihood)

    def batch() -> None:
        live.more_votes(rows, task, live.likelihoods(fit, annotator, label))

    return {
        "one_by_one": statistics.median(timeit.repeat(one_by_one, number=1, repeat=15)) * 1e6 / len(votes),
        "batch": statistics.median(timeit.repeat(batch, number=10, repeat=15)) * 1e5 / len(votes),
    }


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    began = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - began, result


def numbers(names: Any, prefix: str) -> Any:
    """Names as the numbers that they were made from."""
    return names if names.dtype.kind in "iu" else np.array([int(name.removeprefix(prefix)) for name in names])


def peak_mb() -> float:
    """Of this process alone: resource usage would count what its parent had when it started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


CHILDREN = {each.__name__: each for each in (simulate, ours, crowd_kit, score, later)}

if __name__ == "__main__":
    print(json.dumps(CHILDREN[sys.argv[1]](*sys.argv[2:]) or {}))
