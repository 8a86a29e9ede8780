"""Reads of runs, annotators' skill and the learner's predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet

from aggregation.core import live
from aggregation.core.confirming import anchoring
from aggregation.models import Auditing, Certificate, CertificateKind, Outlook, Run, RunKind, RunStatus
from aggregation.services.calibrating import says
from aggregation.services.learner_runs import restorable_runs
from projects.models import Confusion, Event, LiveModel, Member, Prediction, Project, Skill
from projects.queries import AGREEMENT_WITH_MACHINE, fetch
from projects.selectors import budget_of, task_statistics

ANNOTATORS = """
SELECT m.id, m.name, count(v.id), k.skill, avg((v.label = g.label)::int), count(g.task_id)
FROM projects_member m
JOIN projects_vote v ON v.annotator_id = m.id AND v.status = 'counted'
LEFT JOIN projects_assignment a ON a.id = v.assignment_id
LEFT JOIN projects_gold g ON g.task_id = v.task_id AND g.origin <> 'review' AND a.shown IS NOT TRUE
LEFT JOIN projects_skill k ON k.annotator_id = m.id
WHERE m.project_id = %(project)s AND m.id > %(after)s AND (%(only)s::bigint IS NULL OR m.id = %(only)s)
GROUP BY m.id, m.name, k.skill
ORDER BY m.id LIMIT %(limit)s
"""


def annotators_of(
    project: Project, *, after: int = 0, limit: int = 50, only: int | None = None
) -> list[dict[str, Any]]:
    """Everybody who has voted, with skill from the current refit (null before the first) and accuracy on gold."""
    with connection.cursor() as cursor:
        cursor.execute(ANNOTATORS, {"project": project.id, "after": after, "limit": limit, "only": only})
        return [
            {
                "id": id_,
                "name": name,
                "votes": votes,
                "skill": skill,
                "accuracy_gold": None if accuracy is None else float(accuracy),
                "gold_votes": gold_votes,
            }
            for id_, name, votes, skill, accuracy, gold_votes in cursor.fetchall()
        ]


def confusion_of(project: Project, annotator: Member) -> list[list[float]] | None:
    """``confusion[true][voted]`` of the current refit, rows sum to 1; None before it, and beyond 16 labels.

    Where the label model tells kinds of tasks apart, the mean over them.
    """
    columns = dict(Confusion.objects.filter(annotator=annotator).values_list("voted", "vector"))
    K, kind_prior = len(project.labels), LiveModel.objects.get(project=project).kind_prior
    if len(columns) < K:
        return None
    shares = live.kind_shares(np.ones((1, K)) if kind_prior is None else np.array(kind_prior))
    by_kind = np.array([columns[voted] for voted in range(K)]).reshape(K, -1, K)  # [voted, kind, true]
    confusion: list[list[float]] = np.einsum("vdt,dt->tv", by_kind, shares).tolist()
    return confusion


def runs_of(project: Project) -> QuerySet[Run]:
    """Each with whether its learner can be brought back, `restorable`."""
    restorable = restorable_runs(project).filter(id=OuterRef("id"))
    return Run.objects.filter(project=project).annotate(restorable=Exists(restorable))


def predictions_of(project: Project) -> QuerySet[Prediction]:
    return Prediction.objects.filter(task__project=project).select_related("task")


def prediction_summary(project: Project, prediction: Prediction) -> tuple[str, float]:
    """The label the learner finds most probable, and how probable."""
    posterior = live.decode_posterior(prediction.posterior, len(project.labels))
    return project.labels[int(posterior.argmax())], float(posterior.max())


def calibration_of(model: LiveModel) -> dict[str, Any]:
    """Whether the project's confidence is calibrated, and how well on gold held out for it; null where unknown."""
    stored = model.calibration or {}
    return {
        "state": "calibrated" if stored else "uncalibrated",
        "says": says(model.calibration),
        "gold": stored.get("n_gold", 0),
        "ece": stored.get("ece"),
        "ece_interval": stored.get("ece_interval"),
    }


def _tiers_of(project: Project) -> dict[str, Any] | None:
    """As of the last look; null where there was none."""
    figures = Auditing.objects.filter(project=project).values_list("figures", flat=True).first()
    if not figures:
        return None
    issued = Certificate.objects.filter(project=project, kind=CertificateKind.ISSUED, ended_at__isnull=True).first()
    audits = figures.get("audits") or {}
    return {
        **figures["tiers"],
        "certificate": issued and issued.id,
        "threshold": issued and issued.threshold,
        "audits": audits.get("audits", 0),
        "wrong": audits.get("wrong", 0),
        "waiting": audits.get("waiting", 0),
        "forecast": audits.get("outlook") and {**audits["outlook"], "left": audits["affordable"]},
        "says": figures["says"],
    }


def learning_curve_of(project: Project) -> dict[str, Any]:
    """The learning curve of the last retraining that drew one (``services.forecasting``)."""
    drawn = Run.objects.filter(
        project=project,
        kind=RunKind.RETRAINING,
        status=RunStatus.DONE,
        parameters__restores__isnull=True,
        metrics__has_key="learning_curve",
    )
    run = drawn.order_by("-id").first()
    if run is None:
        says = "The learner has not been trained yet."
        return {"run": None, "points": [], "curve": [], "forecast": None, "stop": False, "says": says}
    return {"run": run.id, **run.metrics["learning_curve"]}


def outlook_of(project: Project) -> dict[str, Any]:
    """What the last look at the project's target found (``services.outlooks``)."""
    figures = Outlook.objects.filter(project=project).values_list("figures", flat=True).first()
    return {
        "target_accuracy": project.target_accuracy,
        "target_accuracy_confidence": project.target_accuracy_confidence,
        "stopped_at": project.stopped_at,
        **(NO_OUTLOOK | (figures or {})),
    }


#: Before the first look, and where there is nothing to look out for.
NO_OUTLOOK: dict[str, Any] = {
    **dict.fromkeys(("tasks", "votes", "known", "unlabelled", "machine", "accuracy", "full", "budget")),
    **dict.fromkeys(("certified", "audits", "aim", "needed")),
    "points": [],
    "curve": [],
    "says": "Nothing is forecast: there is neither a target accuracy nor a budget, or no refit has seen it yet.",
}


def _confirming_of(project: Project) -> dict[str, Any] | None:
    """How people vote who are shown what the machine says, beside those who are not; null where nobody ever was."""
    if not project.has_confirmed:
        return None
    rows = {shown: (votes, agreed) for shown, votes, agreed in fetch(AGREEMENT_WITH_MACHINE, project=project.id)}
    (shown, shown_agreed), (blind, blind_agreed) = rows.get(True, (0, 0)), rows.get(False, (0, 0))
    found = anchoring(shown_agreed, shown, blind_agreed, blind)
    return {
        "shown": shown,
        "shown_agreed": shown_agreed,
        "blind": blind,
        "blind_agreed": blind_agreed,
        "anchoring": found and found.points,
        "anchoring_interval": found and [found.low, found.high],
    }


def statistics_of(project: Project) -> dict[str, Any]:
    """What a manager watches: tasks, votes, confidence, and how far refits and retrainings have come."""
    model = LiveModel.objects.get(project=project)
    runs = Run.objects.filter(project=project, status=RunStatus.DONE)
    learner = runs.filter(id=model.learner_run).first() if model.learner_run else None
    current = Run.objects.filter(id=model.run).first() if model.run else None
    return {
        **task_statistics(project),
        "budget": budget_of(project),
        "annotators": Skill.objects.filter(project=project).count(),
        "calibration": calibration_of(model),
        "run": model.run,
        "notes": current.metrics.get("notes", []) if current else [],
        "refits": runs.filter(kind=RunKind.REFIT).count(),
        "retrainings": runs.filter(kind=RunKind.RETRAINING).count(),
        "refit_pending": project.refit_requested_at is not None or Event.objects.filter(project=project).exists(),
        "tiers": _tiers_of(project),
        "confirming": _confirming_of(project),
        "learner": learner
        and {
            "run": learner.id,
            "accuracy_gold": learner.metrics.get("accuracy_gold"),
            "out_of_fold_agreement": learner.metrics.get("out_of_fold_agreement"),
            "prediction_weight": learner.metrics.get("prediction_weight"),
        },
    }
