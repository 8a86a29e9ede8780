"""The report as plain data: what was found, in the words and order that both JSON and the page show."""

from __future__ import annotations

import json
import math
from typing import Any, BinaryIO

import numpy as np

from aggregation.core.agreement import Level, alpha_interval, fleiss_kappa, krippendorff_alpha
from aggregation.core.ambiguity import ambiguous
from aggregation.core.calibration_report import BINS, Bin, CalibrationReport
from aggregation.core.copying import copying
from aggregation.offline.analysis import Analysis
from aggregation.offline.tables import annotators

SHOWN_TASKS = 20
SHOWN_ANNOTATORS = 15
SHOWN_PAIRS = 20
#: A task is called ambiguous if that is more probable than not.
AMBIGUOUS = 0.5
#: Of the pairs suspected of copying, the share expected to be honest.
FALSE_DISCOVERY = 0.05
#: Standard deviations that hold 95 % of a normal distribution.
Z95 = 1.959964


def figures(analysis: Analysis) -> dict[str, Any]:
    """The figures of an analysis as plain JSON types; null where nobody can know.

    votes are those counted, repeated ones apart. accuracy and ece are those of tasks whose gold was held out.
    """
    crowd, fit, scored = analysis.crowd, analysis.fit, analysis.score
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
        "warnings": [*crowd.warnings, *_order(analysis)],
        "converged": fit.converged,
        "iterations": fit.n_iter,
        "calibrated": analysis.calibration.state == "gold",
        "calibration": {"state": analysis.calibration.state, **analysis.calibration.as_json()},
        "alpha": _known(krippendorff_alpha(crowd.votes, _level(analysis))),
        "alpha_level": _level(analysis),
        "accuracy": scored.accuracy if scored else None,
        "ece": scored.ece if scored else None,
        "cross_validation": _cross_validation(analysis),
        "confidence": _confidence(analysis),
    }


def details(analysis: Analysis) -> dict[str, Any]:
    """What else a report shows: labels, annotators and tasks, the lists cut to the SHOWN first."""
    votes = analysis.crowd.votes
    return {
        "alpha_interval": _interval(alpha_interval(votes, _level(analysis))),
        "fleiss_kappa": _known(fleiss_kappa(votes)),
        "label_counts": _label_counts(analysis),
        **_annotators(analysis),
        "doubtful_tasks": _doubtful(analysis),
        **_ambiguous(analysis),
        **_copying(analysis),
    }


def write_json(found: dict[str, Any], file: BinaryIO) -> None:
    file.write(json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n")


def _order(analysis: Analysis) -> list[str]:
    """Where the order of labels was given and the label model did not go by it, a sentence that says so."""
    if not analysis.crowd.ordinal or analysis.uses_order:
        return []
    return [f"{analysis.method} does not use the order of the labels; agreement does."]


def _cross_validation(analysis: Analysis) -> dict[str, Any] | None:
    scored, majority = analysis.score, analysis.majority
    if scored is None or majority is None:
        return None
    return {
        "folds": analysis.n_folds,
        "tasks": scored.n_gold,
        **_figures(scored),
        "majority_vote": _figures(majority),
        "reliability": [_bin(each) for each in scored.curve],
    }


def _figures(scored: CalibrationReport) -> dict[str, Any]:
    return {
        "accuracy": scored.accuracy,
        "mean_confidence": sum(each.stated * each.n for each in scored.curve) / scored.n_gold,
        "accuracy_interval": list(wilson(scored.accuracy, scored.n_gold)),
        "ece": scored.ece,
        "ece_interval": list(scored.ece_interval),
        "brier": scored.brier,
        "log_loss": scored.log_loss,
    }


def _bin(found: Bin) -> dict[str, Any]:
    number = min(int(found.stated * BINS + 1e-9), BINS - 1)  # the mean of so many 0.7 may come out just below
    return {
        "from": number / BINS,
        "to": (number + 1) / BINS,
        "tasks": int(found.n),
        "confidence": found.stated,
        "right": found.right,
        "right_interval": list(wilson(found.right, int(found.n))),
    }


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of n.

    Wilson, E. B.: Probable Inference, the Law of Succession, and Statistical Inference, Journal of the American
    Statistical Association 22(158), 1927, doi:10.1080/01621459.1927.10502953.
    """
    middle = share + Z95**2 / (2 * n)
    reach = Z95 * math.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2))
    low, high = ((middle + side * reach) / (1 + Z95**2 / n) for side in (-1.0, 1.0))
    return max(0.0, low), min(1.0, high)


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


def _doubtful(analysis: Analysis) -> list[dict[str, Any]]:
    """The tasks without gold of lowest confidence."""
    order = np.argsort(analysis.confidence[analysis.open_tasks], kind="stable")
    return [_task(analysis, int(task)) for task in analysis.open_tasks[order[:SHOWN_TASKS]]]


def _task(analysis: Analysis, task: int) -> dict[str, Any]:
    """A task with its consensus and how it was voted on."""
    crowd, posterior = analysis.crowd, analysis.posterior[task]
    return {
        "task": crowd.tasks[task].as_py(),
        "label": crowd.labels[int(posterior.argmax())],
        "confidence": float(posterior.max()),
        "votes": _votes(analysis, task),
    }


def _ambiguous(analysis: Analysis) -> dict[str, Any]:
    """How many tasks are rather ambiguous than not, and the likeliest of them with their two labels."""
    crowd = analysis.crowd
    found = ambiguous(crowd.votes, analysis.fit)
    order = np.argsort(-found.probability, kind="stable")
    order = order[found.probability[order] > AMBIGUOUS]
    rows = [
        {
            "task": crowd.tasks[task].as_py(),
            "between": [crowd.labels[int(found.first[task])], crowd.labels[int(found.second[task])]],
            "probability": float(found.probability[task]),
            "votes": _votes(analysis, task),
        }
        for task in order[:SHOWN_TASKS].tolist()
    ]
    return {"ambiguous": len(order), "ambiguous_tasks": rows}


def _copying(analysis: Analysis) -> dict[str, Any]:
    """How many pairs of annotators are suspected of copying, the most suspicious of them, and who was not tested."""
    crowd = analysis.crowd
    found = copying(crowd.votes, analysis.fit, None if crowd.gold is None else crowd.gold.label)
    order = np.argsort(found.p_value, kind="stable")
    order = order[found.adjusted[order] <= FALSE_DISCOVERY]
    rows = [
        {
            "workers": [crowd.annotators[found.first[pair]], crowd.annotators[found.second[pair]]],
            "overlap": int(found.overlap[pair]),
            "wrong": int(found.wrong[pair]),
            "coincident": int(found.coincident[pair]),
            "expected": float(found.expected[pair]),
            "p_value": float(found.p_value[pair]),
        }
        for pair in order[:SHOWN_PAIRS]
    ]
    return {
        "suspected_copying": len(order),
        "suspected_pairs": rows,
        "pairs_not_tested": found.untested,
        "annotators_not_tested": found.left_out,
    }


def _votes(analysis: Analysis, task: int) -> dict[str, int]:
    """Votes of one task by label, the most frequent first."""
    crowd = analysis.crowd
    counts = np.bincount(crowd.votes.label[crowd.votes.task == task], minlength=len(crowd.labels))
    order = np.argsort(-counts, kind="stable")
    return {crowd.labels[int(label)]: int(counts[label]) for label in order if counts[label]}


def _level(analysis: Analysis) -> Level:
    return "ordinal" if analysis.crowd.ordinal else "nominal"


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _interval(bounds: tuple[float, float]) -> list[float] | None:
    return None if math.isnan(bounds[0]) else list(bounds)
