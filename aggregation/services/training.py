"""A retraining's first stage: a challenger is taught consensus from votes only, and measured against the champion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from aggregation import queries
from aggregation.core.acquisition import teaching
from aggregation.core.challenge import Challenge
from aggregation.core.fit import Fit
from aggregation.core.label_models import DEFAULT_LABEL_MODEL
from aggregation.core.prediction import consensus_to_learn, fit_weight
from aggregation.core.prediction_metrics import measure_predictions
from aggregation.core.votes import Floats, Ints
from aggregation.learners import storage
from aggregation.learners.reading import BadRow
from aggregation.models import Run, RunStage
from aggregation.services.artefacts import HeldOut, save_artefact
from aggregation.services.auditing import is_audited
from aggregation.services.champion import challenge_champion, stored_predictions
from aggregation.services.fitting import Loaded, fit_label_model, load_votes, with_predictions
from aggregation.services.forecasting import learning_curve
from aggregation.services.runs import checkpoint
from projects.models import Acquisition, Learner, Project, Task, TaskState
from projects.queries import fetch, from_json

if TYPE_CHECKING:
    from aggregation.learners import LearnerFit

SEED = 0


@dataclass(frozen=True, eq=False)
class Taught:
    """The n voted tasks of a project. rows: int[n], theirs in what was loaded; posterior: f8[n, K], from votes only.

    Gold stays apart, to measure the learner by.
    """

    loaded: Loaded
    fit: Fit
    rows: NDArray[np.intp]

    def only(self, kept: NDArray[np.intp]) -> Taught:
        """Without the others of its tasks."""
        return replace(self, rows=self.rows[kept])

    @property
    def tasks(self) -> NDArray[np.int64]:
        return self.loaded.task_ids[self.rows]

    @property
    def posterior(self) -> Floats:
        return self.fit.posterior[self.rows]

    @property
    def votes(self) -> int:
        return int(self.loaded.votes_per_task[self.rows].sum())

    @property
    def random_gold(self) -> Ints:
        return self.loaded.random_gold[self.rows]


def parameters_of(project: Project) -> dict[str, Any]:
    return {
        "learner": project.learner,
        "fields": project.learner_fields,
        "label_model": DEFAULT_LABEL_MODEL,
        "seed": SEED,
    }


def train(*, project: Project, run: Run) -> None:
    """Leaves the challenger's artefact, its counts and metrics, and whether it is to replace the champion.

    Raises ValueError without a vote, or where too many tasks can't be read; a few are left out and counted.
    """
    taught = _load(project, run)
    if project.learner == Learner.REMOTE:
        content, held_out, metrics = _elsewhere(project, taught)
    else:
        taught, content, held_out, metrics = _here(project, taught)
    counts = {"votes": len(taught.loaded.votes), "trained_on": len(taught.rows)}
    label = taught.posterior.argmax(axis=1).astype(np.int16)
    stored = HeldOut(taught.tasks, held_out.astype(np.float32), _consensus(project, taught), label)
    with transaction.atomic():
        save_artefact(run=run, content=content, held_out=stored)
        checkpoint(run=run, stage=RunStage.PREDICTING, metrics=metrics, counts=counts)


def _load(project: Project, run: Run) -> Taught:
    loaded = load_votes(project=project)
    # What audits the learner does not teach it.
    voted = np.flatnonzero((loaded.votes_per_task > 0) & ~is_audited(project, loaded.task_ids))
    # Noted at once, so that a failed run is not due again before there are new votes.
    watermark = {"votes": len(loaded.votes), "newest_vote": loaded.newest_vote}
    checkpoint(
        run=run,
        counts={"votes": len(loaded.votes), "trained_on": len(voted)},
        parameters=run.parameters | {"watermark": watermark},
    )
    if not len(voted):
        raise ValueError("There are no votes to learn from yet.")
    return Taught(loaded, _consensus_to_learn(project, loaded, voted), voted)


def _consensus_to_learn(project: Project, loaded: Loaded, voted: NDArray[np.intp]) -> Fit:
    """From the votes of all tasks, and what the champion said of those that teach: of audits it must learn nothing."""
    said = with_predictions(project=project, loaded=loaded).predictions
    if said is None:
        return consensus_to_learn(loaded.votes)
    champion = np.full_like(said, np.nan)
    champion[voted] = said[voted]
    return consensus_to_learn(loaded.votes, champion)


def _here(project: Project, taught: Taught) -> tuple[Taught, bytes, Floats, dict[str, Any]]:
    """A learner of ours: what it could read, its artefact, its held-out predictions f8[n, K], and metrics."""
    from aggregation.learners import LEARNERS, Target, fit_readable

    assert project.learner, "only projects with a learner are due"
    learner, fields = LEARNERS[project.learner], project.learner_fields
    payloads, target = payloads_of(taught.tasks), Target.winning(taught.posterior)
    try:
        kept, learnt = fit_readable(learner, payloads, target, fields, seed=SEED)
    except BadRow as bad:
        raise ValueError(f"Too many tasks can't be read; the first is {taught.tasks[bad.row]}: {bad}") from None
    left_out = len(payloads) - len(kept)
    if left_out:
        taught, payloads, target = taught.only(kept), [payloads[int(row)] for row in kept], target[kept]
    compared = challenge_champion(
        project=project, tasks=taught.tasks, held_out=learnt.held_out, fit=taught.fit, posterior=taught.posterior
    )
    metrics = {
        "prediction_weight": fit_weight(learnt.held_out, taught.posterior, taught.fit.label_prior),
        **_measured(project, taught, learnt.held_out, learnt.learned),
        **promotion(compared),
        **_teaching(project, taught, learnt, payloads),
        **({"left_out": left_out} if left_out else {}),
        "learning_curve": learning_curve(
            learner=learner, payloads=payloads, target=target, fields=fields, votes=taught.votes, seed=SEED
        ),
    }
    return taught, learnt.learned.save(), learnt.held_out, metrics


def _teaching(
    project: Project, taught: Taught, learnt: LearnerFit, payloads: Sequence[dict[str, Any]]
) -> dict[str, float]:
    """What one more task would teach, for the projects that go by it: it costs another prediction of those taught."""
    if project.acquisition != Acquisition.NEW_OR_RELABEL:
        return {}
    untouched = TaskState.objects.filter(project=project, votes=0).count()
    seems = learnt.learned.predict_proba(payloads)
    return {"teaching": teaching(learnt.held_out, seems, taught.posterior, untouched)}


def _elsewhere(project: Project, taught: Taught) -> tuple[bytes, Floats, dict[str, Any]]:
    """A remote learner: nobody knows what it was taught, so only what it said of a task before any vote counts.

    Such predictions are carried on as they are, and measure it; a task voted on before it was predicted has none.
    """
    said = stored_predictions(project=project, tasks=taught.tasks)
    known = np.flatnonzero(np.isfinite(said).all(axis=1))
    label = taught.posterior[known].argmax(axis=1).astype(np.int32)
    gold = known[taught.random_gold[known] >= 0]
    measured = measure_predictions(said[known], label)
    against_gold = measure_predictions(said[gold], taught.random_gold[gold])
    metrics = {
        "prediction_weight": fit_weight(said[known], taught.posterior[known], taught.fit.label_prior),
        "out_of_fold_agreement": measured and measured.accuracy,
        "consensus": measured and measured.as_json(),
        "accuracy_gold": against_gold and against_gold.accuracy,
        "gold": len(gold),
        "random_gold": against_gold and against_gold.as_json(),
        "promoted": True,
        "why": "What a remote learner says now can be measured only by votes yet to come.",
        "challenge": None,
    }
    return storage.pack({"learner": Learner.REMOTE.value}, {}), said, metrics


def payloads_of(task_ids: Sequence[int] | NDArray[np.int64]) -> list[dict[str, Any]]:
    """The tasks' data, in the order of the ids."""
    data = Task.objects.in_bulk([int(id_) for id_ in task_ids])
    return [data[int(id_)].data for id_ in task_ids]


def promotion(compared: Challenge) -> dict[str, Any]:
    """Whether the challenger replaces the champion, and why, for people and for scripts."""
    if compared.tasks == 0:
        return {"promoted": True, "why": "There is no champion to compare it with.", "challenge": None}
    figures = {"tasks": compared.tasks, "difference": compared.difference, "error": compared.error}
    worse = "worse" if compared.difference > 0 else "better"
    says = (
        f"Its held-out log loss on the votes of {compared.tasks} tasks is {abs(compared.difference):.4f} {worse}"
        f" than the champion's (standard error {compared.error:.4f})."
    )
    return {"promoted": compared.passed, "why": says, "challenge": figures}


def _consensus(project: Project, taught: Taught) -> NDArray[np.int16]:
    """The labels that a refit gives these tasks, gold told, so that what it gives later can be compared."""
    fit = taught.fit
    if project.retrain_after_moved is not None and (taught.loaded.gold >= 0).any():
        fit = fit_label_model(project=project, votes=taught.loaded.votes, gold=taught.loaded.gold)
    return np.asarray(fit.posterior[taught.rows].argmax(axis=1), dtype=np.int16)


def _measured(project: Project, taught: Taught, held_out: Floats, learned: Any) -> dict[str, Any]:
    """Held-out predictions against consensus, and predictions of tasks with random gold against that."""
    label = taught.posterior.argmax(axis=1).astype(np.int32)
    known = np.flatnonzero(taught.random_gold >= 0)
    unvoted, gold_unvoted = _predicted_gold(project, learned)
    against_consensus = measure_predictions(held_out, label)
    against_gold = measure_predictions(
        np.concatenate([held_out[known], unvoted]), np.concatenate([taught.random_gold[known], gold_unvoted])
    )
    without_votes = measure_predictions(unvoted, gold_unvoted)
    return {
        "out_of_fold_agreement": against_consensus and against_consensus.accuracy,
        "consensus": against_consensus and against_consensus.as_json(),
        "accuracy_gold": against_gold and against_gold.accuracy,
        "gold": len(known) + len(gold_unvoted),
        "random_gold": against_gold and against_gold.as_json(),
        "accuracy_gold_without_votes": without_votes and without_votes.accuracy,
        "gold_without_votes": len(gold_unvoted),
    }


def _predicted_gold(project: Project, learned: Any) -> tuple[Floats, Ints]:
    """Predictions f8[g, K] for tasks with random gold and without votes, and that gold, int32[g]."""
    from aggregation.learners import predict_readable

    rows = fetch(queries.GOLD_WITHOUT_VOTES, project=project.id)
    readable, proba = predict_readable(learned, [from_json(data) for data, _ in rows])
    return proba, np.array([label for _, label in rows], dtype=np.int32)[readable]
