"""The report as plain data: what was found, in the words and order that both JSON and the page show."""

from __future__ import annotations

import json
import math
from typing import Any, BinaryIO

import numpy as np

from aggregation.core.agreement import Level, alpha_interval, fleiss_kappa, krippendorff_alpha
from aggregation.core.votes import Ints
from aggregation.offline.analysis import Analysis
from aggregation.offline.scoring import BINS, Score, wilson
from aggregation.offline.tables import annotators

SHOWN_TASKS = 20
SHOWN_ANNOTATORS = 15


def report(analysis: Analysis) -> dict[str, Any]:
    """Everything about an analysis as plain JSON types; null where nobody can know.

    accuracy and ece are those of tasks whose gold was held out (5-fold cross-validation). Lists are cut: the 20 most
    doubtful tasks, the 15 annotators of lowest and of highest skill.
    """
    crowd, fit, scored = analysis.crowd, analysis.fit, analysis.score
    level: Level = "ordinal" if crowd.ordinal else "nominal"
    return {
        "method": analysis.method,
        "explanation": list(fit.notes),
        "tasks": crowd.votes.n_tasks,
        "annotators": crowd.votes.n_annotators,
        "votes": len(crowd.votes),
        "labels": crowd.labels,
        "ordinal": crowd.ordinal,
        "uses_order": analysis.uses_order,
        "repeated_votes": crowd.repeated,
        "conflicting_repeats": crowd.conflicting,
        "gold": None if crowd.gold is None else int((crowd.gold.label >= 0).sum()),
        "gold_unseen": None if crowd.gold is None else crowd.gold.unseen,
        "warnings": list(crowd.warnings),
        "converged": fit.converged,
        "iterations": fit.n_iter,
        "calibrated": analysis.calibrated,
        "alpha": _known(krippendorff_alpha(crowd.votes, level)),
        "alpha_interval": _interval(alpha_interval(crowd.votes, level)),
        "alpha_level": level,
        "fleiss_kappa": _known(fleiss_kappa(crowd.votes)),
        "accuracy": scored.accuracy if scored else None,
        "ece": scored.ece if scored else None,
        "cross_validation": _cross_validation(analysis),
        "label_counts": _label_counts(analysis),
        "confidence": _confidence(analysis),
        **_annotators(analysis),
        "doubtful_tasks": _tasks(analysis, _most_doubtful(analysis)),
    }


def write_json(found: dict[str, Any], file: BinaryIO) -> None:
    file.write(json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n")


def _cross_validation(analysis: Analysis) -> dict[str, Any] | None:
    scored, majority = analysis.score, analysis.majority
    if scored is None or majority is None:
        return None
    return {
        "folds": analysis.n_folds,
        "tasks": scored.n,
        **_figures(scored),
        "majority_vote": _figures(majority),
        "reliability": [
            {
                "from": number / BINS,
                "to": (number + 1) / BINS,
                "tasks": int(scored.bins[number]),
                "confidence": float(scored.confidence[number]),
                "right": float(scored.right[number]),
                "right_interval": list(wilson(float(scored.right[number]), int(scored.bins[number]))),
            }
            for number in np.flatnonzero(scored.bins)
        ],
    }


def _figures(scored: Score) -> dict[str, Any]:
    return {
        "accuracy": scored.accuracy,
        "accuracy_interval": [scored.low, scored.high],
        "ece": scored.ece,
        "brier": scored.brier,
        "log_loss": scored.log_loss,
    }


def _label_counts(analysis: Analysis) -> list[dict[str, Any]]:
    """By label: votes for it, tasks whose consensus it is, and its share of the truth as estimated."""
    crowd = analysis.crowd
    votes = np.bincount(crowd.votes.label, minlength=len(crowd.labels))
    tasks = np.bincount(analysis.label, minlength=len(crowd.labels))
    counts = zip(crowd.labels, votes.tolist(), tasks.tolist(), analysis.fit.label_prior.tolist(), strict=True)
    return [{"label": label, "votes": v, "tasks": t, "share": share} for label, v, t, share in counts]


def _confidence(analysis: Analysis) -> dict[str, Any]:
    """How sure the consensus is of tasks without gold: the mean, those at or above 0.95, and by twentieths."""
    confidence = analysis.confidence[analysis.open_tasks]
    return {
        "tasks": len(confidence),
        "mean": float(confidence.mean()) if len(confidence) else None,
        "at_least_95": int((confidence >= 0.95).sum()),
        "tasks_by_twentieth": np.bincount(np.minimum((confidence * 20).astype(np.int64), 19), minlength=20).tolist(),
    }


def _annotators(analysis: Analysis) -> dict[str, list[dict[str, Any]]]:
    """Those of whom it is surest that they are unskilled, or skilled: by the near end of the interval. Nobody twice."""
    table = annotators(analysis)
    lowest = np.argsort(table["skill_high"].to_numpy(), kind="stable")
    highest = np.argsort(-table["skill_low"].to_numpy(), kind="stable")
    cut = min(SHOWN_ANNOTATORS, (len(lowest) + 1) // 2)
    rest = highest[~np.isin(highest, lowest[:cut])][:SHOWN_ANNOTATORS]
    rows = {"lowest_skill": lowest[:cut], "highest_skill": rest}
    return {
        name: [{key: _known(value) for key, value in row.items()} for row in table.take(chosen).to_pylist()]
        for name, chosen in rows.items()
    }


def _most_doubtful(analysis: Analysis) -> Ints:
    """The tasks without gold of lowest confidence, int32[<= SHOWN_TASKS]."""
    order = np.argsort(analysis.confidence[analysis.open_tasks], kind="stable")
    return analysis.open_tasks[order[:SHOWN_TASKS]]


def _tasks(analysis: Analysis, chosen: Ints) -> list[dict[str, Any]]:
    """Tasks with their consensus and how they were voted on."""
    crowd, posterior = analysis.crowd, analysis.posterior
    return [
        {
            "task": crowd.tasks[int(task)].as_py(),
            "label": crowd.labels[int(posterior[task].argmax())],
            "confidence": float(posterior[task].max()),
            "votes": _votes(analysis, int(task)),
        }
        for task in chosen
    ]


def _votes(analysis: Analysis, task: int) -> dict[str, int]:
    """Votes of one task by label, the most frequent first."""
    crowd = analysis.crowd
    counts = np.bincount(crowd.votes.label[crowd.votes.task == task], minlength=len(crowd.labels))
    order = np.argsort(-counts, kind="stable")
    return {crowd.labels[int(label)]: int(counts[label]) for label in order if counts[label]}


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _interval(bounds: tuple[float, float]) -> list[float] | None:
    return None if math.isnan(bounds[0]) else list(bounds)
