"""Tasks' posteriors, always recomputed from their counted votes and never multiplied on: undoing a vote is exact."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from aggregation.core import live
from aggregation.core.acquisition import PRIORITY_STEPS, priority, search
from aggregation.core.fit import LIKELIHOOD_FLOOR
from aggregation.core.gold_calibration import believed
from aggregation.core.queue import places
from aggregation.core.stopping import retire_reason
from aggregation.core.structure import clamp
from aggregation.core.votes import Floats, Ints
from projects import queries
from projects.models import Acquisition, Order, Project
from projects.queries import fetch, from_json
from projects.services.live_model import Live, live_model

#: Tasks recomputed at a time.
CHUNK = 1000


@dataclass(frozen=True, eq=False)
class TaskRows:
    """What is stored of n tasks beside their votes. gold: int32[n], -1 = unknown. predictions: as stored, or None."""

    ids: Sequence[int]
    votes: Sequence[int]
    redundancy: Sequence[int]
    settled: Sequence[str | None]  # a reason to have retired that no vote undoes
    gold: Ints
    predictions: Sequence[Any]

    @classmethod
    def of(cls, rows: Sequence[tuple[Any, ...]]) -> TaskRows:
        """From rows of id, votes, redundancy, what has settled it, gold and prediction."""
        ids, votes, redundancy, settled, gold, predictions = zip(*rows, strict=True) if rows else ((),) * 6
        known = np.array([-1 if label is None else label for label in gold], np.int32)
        return cls(ids, votes, redundancy, settled, known, predictions)


@dataclass(frozen=True, eq=False)
class Summaries:
    """The states of n tasks as their votes, their gold and their predictions make them. posterior: f8[n, K]."""

    ids: Sequence[int]
    votes: Sequence[int]
    label: Ints
    runner_up: Ints
    confidence: Floats
    priority: Sequence[int | None]
    retired: Sequence[str | None]
    posterior: Floats
    has_gold: NDArray[np.bool_]
    has_prediction: NDArray[np.bool_]


def recompute_tasks(*, project: Project, task_ids: Sequence[int]) -> None:
    """Recompute and write these tasks' posterior, confidence, priority and retirement from what is stored.

    The caller holds the tasks' rows (``projects_taskstate``) locked, so that no vote comes in between.
    """
    summaries, run = summarise(project=project, task_ids=task_ids)
    if summaries.ids:
        statement, parameters = writing(summaries, run)
        fetch(statement, **parameters)


def recompute_in_chunks(*, project: Project, task_ids: Sequence[int]) -> None:
    """As ``recompute_tasks``, for any number of them."""
    for start in range(0, len(task_ids), CHUNK):
        recompute_tasks(project=project, task_ids=task_ids[start : start + CHUNK])


def summarise(*, project: Project, task_ids: Sequence[int]) -> tuple[Summaries, int | None]:
    """The summaries of these tasks and the refit that they stand on; nothing written."""
    return summarise_rows(project=project, rows=fetch(reading(project), tasks=list(task_ids)))


def reading(project: Project) -> str:
    """The statement that reads what the project's tasks are recomputed from."""
    return queries.TASKS_WITH_VOTES_CONFIRMING if project.has_confirmed else queries.TASKS_WITH_VOTES


def summarise_rows(*, project: Project, rows: Sequence[tuple[Any, ...]]) -> tuple[Summaries, int | None]:
    """As ``summarise``, from the rows of ``queries.TASKS_WITH_VOTES``, read after the tasks were locked."""
    settings, version = rows[0][6:8] if rows else (project.version, None)
    if settings != project.version:
        # A setting has changed since the caller read it. It can't any more: whoever changes one locks the tasks.
        told, project = project.has_confirmed, Project.objects.get(id=project.id)
        if project.has_confirmed != told:
            return summarise(project=project, task_ids=list(dict.fromkeys(row[0] for row in rows)))
    model = live_model(project_id=project.id, version=version)
    if rows and model.version != version:
        # Another refit has become current since they were read.
        return summarise(project=project, task_ids=[row[0] for row in rows])
    tasks, evidence, counts = heard(model, rows)
    priors, predicted = task_priors(tasks, model.label_prior, model.prediction_weight)
    posterior = live.posteriors(priors, evidence, model.kinds)
    return summaries_of(project, model, tasks, posterior, counts, predicted), model.run


def heard(model: Live, rows: Sequence[tuple[Any, ...]]) -> tuple[TaskRows, Floats, Floats]:
    """The n tasks of rows of ``queries.TASKS_WITH_VOTES``, in their order, and what their votes say.

    That is the votes' summed log likelihoods f8[n, C], and how many there are for each label, f8[n, K].
    """
    tasks = TaskRows.of(list({row[0]: row[:6] for row in rows}.values()))
    place = {task_id: row for row, task_id in enumerate(tasks.ids)}
    votes = [
        (place[task_id], voted, model.likelihood(voted, vector, accuracy))
        for task_id, *_, voted, vector, accuracy in rows
        if voted is not None
    ]
    K = len(model.label_prior)
    evidence = np.zeros((len(place), K if model.kinds is None else model.kinds.size))
    counts = np.zeros((len(place), K))
    if votes:
        task, voted, likelihoods = map(list, zip(*votes, strict=True))
        np.add.at(evidence, task, np.log(np.maximum(np.array(likelihoods), LIKELIHOOD_FLOOR)))
        np.add.at(counts, (task, voted), 1)
    return tasks, evidence, counts


def task_priors(tasks: TaskRows, label_prior: Floats, weight: float) -> tuple[Floats, NDArray[np.bool_]]:
    """The label prior f8[K] with predictions worked in by this weight, f8[n, K]; and which tasks have one, bool[n].

    A prediction of no weight is none.
    """
    predicted = np.array([weight > 0 and stored is not None for stored in tasks.predictions], dtype=np.bool_)
    priors = np.tile(live.task_prior(label_prior, None, 0.0), (len(predicted), 1))
    if predicted.any():
        stored = [each for each, has_one in zip(tasks.predictions, predicted, strict=True) if has_one]
        priors[predicted] = live.task_prior(label_prior, decode_posteriors(stored, len(label_prior)), weight)
    return priors, predicted


def decode_posteriors(stored: Sequence[Any], n_labels: int) -> Floats:
    """Stored posteriors as f8[n, K]."""
    return np.array([live.decode_posterior(from_json(each), n_labels) for each in stored]).reshape(-1, n_labels)


def summaries_of(
    project: Project,
    model: Live,
    tasks: TaskRows,
    posterior: Floats,
    counts: Floats,
    predicted: NDArray[np.bool_],
) -> Summaries:
    """The summaries of tasks from the label model's posteriors f8[n, K] and their votes for each label f8[n, K].

    A gold label is certain, but its task goes on collecting by the rules of any other: its votes measure people, and
    nobody can tell it apart. Where gold is injected it stops at its own redundancy alone, and lies at a random place of
    its pool. So do audits stop, or those on which people agree with the machine would get fewer votes. A flagged or
    reviewed task stays so, whatever votes still come in.
    """
    injected = (tasks.gold >= 0) & (project.gold_share is not None)
    audits = _audits(project, tasks.ids)
    posterior = believed(model.calibration, posterior, counts)
    sure = posterior.max(axis=1).tolist()
    certain = clamp(posterior, tasks.gold)
    label, confidence, runner_up = live.summary(certain)
    return Summaries(
        ids=tasks.ids,
        votes=tasks.votes,
        label=label,
        runner_up=runner_up,
        confidence=confidence,
        priority=[
            random_place(task_id, votes) if is_injected else place
            for task_id, votes, is_injected, place in zip(
                tasks.ids, tasks.votes, injected, _priorities(project, model, posterior, counts), strict=True
            )
        ],
        retired=[
            settled or _stops(project, votes, wanted, p, injected=is_injected, audits=id_ in audits)
            for id_, votes, wanted, settled, p, is_injected in zip(
                tasks.ids, tasks.votes, tasks.redundancy, tasks.settled, sure, injected, strict=True
            )
        ],
        posterior=certain,
        has_gold=tasks.gold >= 0,
        has_prediction=predicted,
    )


def _audits(project: Project, task_ids: Sequence[int]) -> set[int]:
    """Those of these tasks that are to have all their votes because they audit the machine."""
    if project.auto_label_error is None or project.target_confidence is None:
        return set()
    return {id_ for (id_,) in fetch(queries.AUDITS_AMONG, tasks=list(task_ids))}


def _stops(project: Project, votes: int, wanted: int, confidence: float, *, injected: bool, audits: bool) -> str | None:
    if injected:
        return retire_reason(votes, wanted, confidence, None)
    target = None if audits else project.target_confidence
    return retire_reason(votes, wanted, confidence, target, project.min_votes, flag_below=project.flag_below)


def random_place(task_id: int, votes: int) -> int:
    """A priority 0..1000 that says nothing: another one after each vote, and the same when recomputed."""
    return zlib.crc32(b"%d/%d" % (task_id, votes)) % (PRIORITY_STEPS + 1)


def _priorities(project: Project, model: Live, posterior: Floats, counts: Floats) -> Sequence[int | None]:
    found = priorities(project, model, posterior, counts)
    return [None] * len(posterior) if found is None else list(found.tolist())


def priorities(project: Project, model: Live, posterior: Floats, counts: Floats) -> NDArray[np.integer] | None:
    """0..1000 by task, the highest is handed out first; None keeps all tasks' places in the queue.

    posterior: f8[n, K]. counts: f8[n, K], votes for each label.
    """
    if project.order == Order.PRIORITY and project.acquisition == Acquisition.SEARCH:
        return priority(search(posterior[:, _sought(project)], counts.sum(axis=1)))
    # Of the most doubtful ones each annotator's are chosen when they ask (`choosing`).
    chosen_later = project.acquisition == Acquisition.INFORMATION_GAIN
    acquisition = Acquisition.ENTROPY if chosen_later else project.acquisition
    return places(project.order, acquisition, posterior, counts, model.worth)


def _sought(project: Project) -> int:
    assert project.search_label is not None, "no project searches without a label"
    return project.labels.index(project.search_label)


def writing(summaries: Summaries, run: int | None) -> tuple[str, dict[str, Any]]:
    """The statement, and its parameters, that writes summaries to hot row, posterior and queue, where each changes."""
    columns = {
        "ids": list(summaries.ids),
        "labels": summaries.label.tolist(),
        "runners_up": summaries.runner_up.tolist(),
        "confidences": summaries.confidence.tolist(),
        "reasons": list(summaries.retired),
        "priorities": list(summaries.priority),
        "posteriors": orjson.dumps([live.encode_posterior(row) for row in summaries.posterior]).decode(),
    }
    return queries.WRITE_FEW_TASKS, {**columns, "run": run}
