"""How right every label model is on recorded crowds, and how true its confidence.

    uv run benchmarks/accuracy.py [--data DIR] [--methods a,b] [--draws 20] [--json FILE]
    uv run benchmarks/accuracy.py --generators

DIR holds a folder for each crowd (see datasets.py); by default `$CROWD_DATASETS`, and where that is not set either, the
bluebird votes that are shipped. A method is a label model's name: with gold, its fit is calibrated as the project does.
NAME+temperature is its fit without gold, with the one temperature that makes the drawn gold most likely.

What calibration assumes of a crowd was learnt on crowds with gold. So a crowd of theirs is measured with what the other
families in DIR tell, if they are enough: "leave-one-family-out" in `calibration_prior`. Others with what is shipped.

By crowd and method, and as means over the crowds:
- accuracy, ece_raw, auc_raw: without gold, scored on all gold. Labels that tie are scored at their expectation.
- Keys with _50 or _at_95: 50 gold tasks drawn at random are known, the others are scored; the mean over draws. Of a
  crowd with fewer than 100 gold tasks half are drawn. brier_50 is the squared error summed over labels.
- right_at_95, stated_at_95, share_at_95: the tasks of confidence >= 0.95: share that is right, mean confidence, share
  of all that are scored. oracle_share_at_95: the share that could be had at 0.95 right by going down the same order.
- loss, loss_50: accuracy of majority vote less ours, less one task's worth; their worst over the crowds in the mean.

--generators: the worst and mean loss over simulated crowds on which models may lose to majority vote (see crowds.py).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

# One process per core, so one thread of algebra per process; before numpy is imported. Not for whoever imports this.
if __name__ == "__main__":
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", NUMBA_NUM_THREADS="1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from scipy.optimize import minimize_scalar

from aggregation.core.calibration import SHIPPED_PRIOR, Prior, calibrate, cross_fit
from aggregation.core.label_models import DEFAULT_LABEL_MODEL, LABEL_MODELS, OURS
from aggregation.core.live import softmax
from aggregation.core.structure import clamp
from aggregation.core.votes import Floats, Ints, Votes
from benchmarks import calibration_prior, datasets
from benchmarks.crowds import GENERATORS
from benchmarks.pool import Job, Measures, limited, ordered, run, table
from benchmarks.scores import FLOOR, correct, log_loss, score

TEMPERATURE = "+temperature"
METHODS = (*LABEL_MODELS, *dict.fromkeys((f"dawid_skene{TEMPERATURE}", f"{DEFAULT_LABEL_MODEL}{TEMPERATURE}")))
GOLD = 50
#: Of each generator.
CROWDS = 50
KEYS = (
    *("accuracy", "accuracy_50", "ece_raw", "ece_50", "brier_50"),
    *("right_at_95", "stated_at_95", "share_at_95", "oracle_share_at_95", "share_of_oracle_at_95"),
    *("excess_ece_50", "log_loss_50", "auc_50", "auc_raw", "loss", "loss_50", "seconds"),
)


def calibrated(method: str, votes: Votes, gold: Ints, prior: Prior = SHIPPED_PRIOR) -> Floats:
    """The posterior f8[T, K] of a method that knows gold int32[T] (-1 where unknown)."""
    name = method.removesuffix(TEMPERATURE)
    if name == method:
        counts = votes.per_task()
        posterior = cross_fit(lambda known: _fitted(name, votes, known), gold)
        return clamp(calibrate(posterior, counts, gold, prior=prior).apply(posterior, counts), gold)
    raw, known = _raw(name, votes), np.flatnonzero(gold >= 0)
    best = minimize_scalar(
        lambda log: log_loss(_tempered(raw[known], log), gold[known]), bounds=(-4.0, 4.0), method="bounded"
    )
    return _tempered(raw, float(best.x))


def _fitted(name: str, votes: Votes, gold: Ints) -> Floats:
    return LABEL_MODELS[name](votes, gold).posterior if (gold >= 0).any() else _raw(name, votes)


@lru_cache(maxsize=2)
def _raw(name: str, votes: Votes) -> Floats:
    """The posterior without gold."""
    return LABEL_MODELS[name](votes).posterior


def _tempered(posterior: Floats, log_temperature: float) -> Floats:
    return softmax(np.log(np.maximum(posterior, FLOOR)) / np.exp(log_temperature))


def measure_dataset(folder: Path, method: str, draws: int, limit: float | None, prior: Prior) -> Measures:
    """All measures of one method on one crowd. limit: seconds after which TimeoutError is raised."""
    data = _load(folder)
    with limited(limit):
        began = time.perf_counter()
        posterior = _raw(method.removesuffix(TEMPERATURE), data.votes)
        seconds = time.perf_counter() - began
        tasks = data.gold_tasks
        scores = score(posterior[tasks], data.gold[tasks], seed=0)
        measures: Measures = {
            "accuracy": scores["accuracy"],
            "ece_raw": scores["ece"],
            "auc_raw": scores["auc"],
            "loss": _loss(_raw("majority_vote", data.votes)[tasks], posterior[tasks], data.gold[tasks]),
        }
        measures |= _mean([_measure_draw(data, method, draw, prior) for draw in range(draws)])
    return dict.fromkeys(KEYS) | measures | {"seconds": seconds}


def _measure_draw(data: datasets.Dataset, method: str, draw: int, prior: Prior) -> Measures:
    """The measures with some gold known, on the tasks whose gold is not."""
    gold, rest = _draw_gold(np.random.default_rng([draw, 1]), data.gold)
    posterior = calibrated(method, data.votes, gold, prior)[rest]
    majority = _fitted("majority_vote", data.votes, gold)[rest]
    truth = data.gold[rest]
    scores = score(posterior, truth, seed=draw)
    return {key if key.endswith("_at_95") else f"{key}_50": value for key, value in scores.items()} | {
        "loss_50": _loss(majority, posterior, truth)
    }


def measure_generator(generator: str, method: str, crowds: int) -> Measures:
    """The losses of one method on crowds of one generator."""
    without, with_gold = [], []
    for seed in range(crowds):
        votes, truth = GENERATORS[generator](np.random.default_rng([seed, 2]))
        without.append(_loss(_raw("majority_vote", votes), _raw(method.removesuffix(TEMPERATURE), votes), truth))
        gold, rest = _draw_gold(np.random.default_rng([seed, 3]), truth)
        # Calibration relabels nothing, so its losses are those of the fit.
        ours = calibrated(method, votes, gold) if method.endswith(TEMPERATURE) else _fitted(method, votes, gold)
        with_gold.append(_loss(_fitted("majority_vote", votes, gold)[rest], ours[rest], truth[rest]))
    return {
        "worst_loss": max(without),
        "worst_loss_50": max(with_gold),
        "mean_loss": float(np.mean(without)),
        "mean_loss_50": float(np.mean(with_gold)),
    }


def _draw_gold(random: np.random.Generator, truth: Ints) -> tuple[Ints, Ints]:
    """(gold int32[T] of the tasks drawn, the other tasks whose truth is known)."""
    known = np.flatnonzero(truth >= 0)
    drawn = random.choice(known, GOLD if len(known) >= 2 * GOLD else len(known) // 2, replace=False)
    gold = np.full(len(truth), -1, dtype=np.int32)
    gold[drawn] = truth[drawn]
    return gold, np.setdiff1d(known, drawn).astype(np.int32)


def _loss(majority: Floats, ours: Floats, truth: Ints) -> float:
    """What majority vote is right more often, as a share of the tasks, less one task."""
    return float((correct(majority, truth) - correct(ours, truth)).mean() - 1.0 / len(truth))


@lru_cache(maxsize=1)
def _load(folder: Path) -> datasets.Dataset:
    return datasets.load(folder)


def _mean(measures: Sequence[Measures]) -> Measures:
    """Key by key, of the values that are defined."""
    keys = dict.fromkeys(key for each in measures for key in each)
    values = {key: [each[key] for each in measures if each.get(key) is not None] for key in keys}
    return {key: float(np.mean(defined)) if defined else None for key, defined in values.items()}


def _over_crowds(measures: Sequence[Measures]) -> Measures:
    """Means over crowds, the worst losses, and of how many crowds."""
    worst = {f"worst_{key}": [each[key] for each in measures if each[key] is not None] for key in ("loss", "loss_50")}
    return _mean(measures) | {key: max(found, default=None) for key, found in worst.items()} | {"sets": len(measures)}


def dataset_jobs(options: argparse.Namespace, priors: Mapping[str, Prior]) -> tuple[list[Job], dict[str, str]]:
    """The jobs, largest crowds first, and why other folders are left out. priors: by crowd, other than the shipped."""
    jobs, skipped = [], {}
    for folder in [datasets.BLUEBIRD] if options.data is None else datasets.folders(options.data):
        try:
            size = len(datasets.load(folder).votes)
        except datasets.Unsuitable as reason:
            skipped[folder.name] = str(reason)
            print(f"{folder.name} is left out: {reason}", file=sys.stderr)
            continue
        for method in options.methods:
            slow = method not in OURS and not method.endswith(TEMPERATURE)
            draws, limit = (options.slow_draws, options.limit) if slow else (options.draws, None)
            prior = priors.get(folder.name, SHIPPED_PRIOR)
            jobs.append((size, (folder.name, method, measure_dataset, (folder, method, draws, limit, prior))))
    return [job for _, job in sorted(jobs, key=lambda sized: -sized[0])], skipped


def measure(options: argparse.Namespace) -> dict[str, Any]:
    if options.generators:
        arguments = [(generator, method) for generator in GENERATORS for method in options.methods]
        jobs: list[Job] = [(g, m, measure_generator, (g, m, options.crowds)) for g, m in arguments]
        return {"generators": ordered(run(jobs, options.processes), GENERATORS, options.methods)}
    priors = calibration_prior.leave_one_family_out(options.data) if options.data else {}
    jobs, skipped = dataset_jobs(options, priors)
    crowds = sorted({crowd for crowd, *_ in jobs})
    results = ordered(run(jobs, options.processes), crowds, options.methods)
    by_method = {m: [each[m] for each in results.values() if m in each] for m in options.methods}
    return {
        "datasets": results,
        "mean": {method: _over_crowds(measures) for method, measures in by_method.items() if measures},
        "calibration_prior": {crowd: "leave-one-family-out" if crowd in priors else "shipped" for crowd in crowds},
        "skipped": skipped,
    }


def tables(report: dict[str, Any]) -> Iterator[str]:
    """The report as text: one number of each crowd by method, and the means."""
    if "generators" in report:
        for key in ("worst_loss", "worst_loss_50", "mean_loss", "mean_loss_50"):
            yield from table(key, {c: {m: v[key] for m, v in row.items()} for c, row in report["generators"].items()})
        return
    for key in ("accuracy", "accuracy_50"):
        yield from table(key, {c: {m: v.get(key) for m, v in row.items()} for c, row in report["datasets"].items()})
    yield from table("mean", _transposed(report["mean"]))


def _transposed(rows: dict[str, Measures]) -> dict[str, Measures]:
    keys = dict.fromkeys(key for row in rows.values() for key in row)
    return {key: {method: row.get(key) for method, row in rows.items()} for key in keys}


def _methods(names: str) -> list[str]:
    chosen = names.split(",")
    for name in chosen:
        if name.removesuffix(TEMPERATURE) not in LABEL_MODELS:
            raise argparse.ArgumentTypeError(f"unknown method {name!r}; expected some of {', '.join(METHODS)}")
    return chosen


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    place = os.environ.get("CROWD_DATASETS")
    parser.add_argument("--data", type=Path, default=Path(place) if place else None, metavar="DIR")
    parser.add_argument("--methods", type=_methods, default=list(METHODS), metavar="A,B", help="default: all")
    parser.add_argument("--draws", type=int, default=20, help="draws of gold (default: 20)")
    parser.add_argument("--slow-draws", type=int, default=0, help="the same for crowd-kit's models (default: 0)")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for crowd-kit on one crowd (default: 60)")
    parser.add_argument("--generators", action="store_true", help="measure losses on simulated crowds instead")
    parser.add_argument("--crowds", type=int, default=CROWDS, help=f"of each generator (default: {CROWDS})")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="default: one for each core")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured to a file")
    return parser.parse_args(given)


def main() -> None:
    options = arguments()
    report = measure(options)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print("\n".join(tables(report)))


if __name__ == "__main__":
    main()
