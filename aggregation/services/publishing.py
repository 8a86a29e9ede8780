"""A refit's second step: its posteriors become the tasks' state and what consumers read, a thousand at a time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from django.db import transaction
from numpy.typing import NDArray

from aggregation import queries
from aggregation.core import live
from aggregation.core.fit import DENSE_LABELS, Fit
from aggregation.core.votes import Floats
from aggregation.models import ConsensusSource, Run
from aggregation.services.bulk import as_text, copy_rows
from aggregation.services.fitting import Loaded
from projects.models import Project
from projects.queries import WRITE_TASKS, fetch
from projects.services.live_model import Live, live_model
from projects.services.recompute import (
    Summaries,
    TaskRows,
    decode_posteriors,
    summaries_of,
    summarise,
    task_priors,
)

#: Tasks published in one transaction.
CHUNK = 1000
#: After so many rounds over rows that others held, publishing waits for them instead of passing them over.
PATIENT_ROUNDS = 20
#: A published posterior moves when one of its probabilities has by this much; a smaller change is no news.
PUBLISH_TOLERANCE = 0.001


@dataclass(frozen=True, eq=False)
class Refitted:
    """What is published. model: as `current.make_current` has left it. voted: tasks that votes have recomputed since
    the refit before. newcomers: bool[T], tasks that somebody has voted on who is not known yet."""

    project: Project
    run: Run
    model: Live
    loaded: Loaded
    fit: Fit
    voted: frozenset[int]
    newcomers: NDArray[np.bool_]


@dataclass
class Published:
    """What publishing found. recomputed: tasks that had newer votes than the fit. confidence: summed over unsure tasks,
    those without gold."""

    recomputed: int = 0
    unsure: int = 0
    confidence: float = 0.0
    drifts: list[live.Drift] = field(default_factory=list)

    @property
    def mean_confidence(self) -> float | None:
        return self.confidence / self.unsure if self.unsure else None

    @property
    def drift(self) -> live.Drift:
        """How far what votes had recomputed, one by one, was from what the refit has put in its place."""
        return live.joined(self.drifts)


def publish(*, project: Project, run: Run, loaded: Loaded, fit: Fit, voted: Iterable[int] = ()) -> Published:
    """Publish every task that was loaded, chunk by chunk, each in a transaction of its own.

    voted: ids of the tasks that votes have recomputed since the refit before, of which drift is measured.
    """
    model, newcomers = live_model(project_id=project.id), loaded.touched_by_newcomers(project.newcomer_votes)
    refitted = Refitted(project, run, model, loaded, fit, frozenset(voted), newcomers)
    fetch(queries.REFITTED_TABLE)
    published, left, rounds = Published(), np.arange(len(loaded.task_ids)), 0
    while len(left):
        patient = rounds >= PATIENT_ROUNDS
        done = np.zeros(len(loaded.task_ids), dtype=np.bool_)
        for start in range(0, len(left), CHUNK):
            rows = left[start : start + CHUNK]
            # Having waited for every row, those not found are gone with their task.
            done[_publish_chunk(refitted, rows, published, wait="" if patient else "SKIP LOCKED")] = True
            done[rows] |= patient
        left = left[~done[left]]
        rounds += 1
        if len(left):
            time.sleep(0.02)
    return published


@transaction.atomic
def _publish_chunk(refitted: Refitted, rows: NDArray[np.intp], published: Published, *, wait: str) -> NDArray[np.intp]:
    """Publish those of some rows of the fit whose tasks nobody else holds; which they were.

    A task whose votes are those the fit saw takes the fit's posterior; any other is recomputed from its votes with the
    new skills, so that a refit never overwrites a newer vote.
    """
    loaded = refitted.loaded
    locked = fetch(queries.LOCK_TASKS.format(wait=wait), tasks=loaded.task_ids[rows].tolist())
    if not locked:
        return rows[:0]
    mine = np.searchsorted(loaded.task_ids, np.array([task_id for task_id, *_ in locked], dtype=np.int64))
    newer = loaded.versions[mine] != [version for _, version, *_ in locked]
    # Gold too: it is clamped in the fit, while its own votes steer its collection. And where a newcomer has voted, whom
    # the fit believes more or less than the live model does.
    stale = newer | refitted.newcomers[mine] | np.array([gold is not None for *_, gold, _, _ in locked], dtype=np.bool_)
    fresh = np.flatnonzero(~stale)
    summaries = [_as_fitted(refitted, mine[fresh], [locked[row] for row in fresh], published)]
    if stale.any():
        recomputed, _ = summarise(project=refitted.project, task_ids=loaded.task_ids[mine[stale]].tolist())
        summaries.append(recomputed)
    write(refitted.project, refitted.run, refitted.model, summaries)
    published.recomputed += int(newer.sum())
    for each in summaries:
        published.unsure += int((~each.has_gold).sum())
        published.confidence += float(each.confidence[~each.has_gold].sum())
    return mine


def _as_fitted(
    refitted: Refitted, rows: NDArray[np.intp], locked: Sequence[tuple[Any, ...]], published: Published
) -> Summaries:
    """Summaries of tasks with the fit's posteriors, in the rows of the fit that are given; notes their drift."""
    model, label_prior, counts = refitted.model, refitted.fit.label_prior, refitted.loaded.vote_counts[rows]
    # As it is now: whoever changes its settings changes all its tasks, and these are locked.
    project = Project.objects.get(id=refitted.project.id)
    tasks = TaskRows.of([(id_, *columns) for id_, _version, *columns, _posterior in locked])
    priors, predicted = task_priors(tasks, label_prior, model.prediction_weight)
    posterior = live.with_prior(refitted.fit.posterior[rows], label_prior, priors)
    summaries = summaries_of(project, model, tasks, posterior, counts, predicted)
    before = [row for row, (id_, *_) in enumerate(locked) if id_ in refitted.voted]
    drifted = decode_posteriors([locked[row][-1] for row in before], len(label_prior))
    published.drifts.append(live.drift(drifted, summaries.posterior[before]))
    return summaries


def write_tasks(summaries: Sequence[Summaries], run: int | None, statement: str = WRITE_TASKS) -> None:
    """State, posterior and queue of tasks that the present transaction holds, each where it changes.

    run: the refit that they stand on. The session's table of them (`queries.REFITTED_TABLE`) is there, and empty.
    """
    copy_rows("refitted", (line for each in summaries for line in _lines(each)))
    fetch(statement.format(rows="refitted"), run=run)


def write(project: Project, run: Run, model: Live, summaries: Sequence[Summaries]) -> None:
    """Also their consensus."""
    write_tasks(summaries, run.id)
    fetch(
        queries.PUBLISH,
        project=project.id,
        run=run.id,
        tolerance=PUBLISH_TOLERANCE,
        calibrated=model.calibration is not None,
    )


def _lines(summaries: Summaries) -> Iterator[str]:
    columns = zip(
        summaries.ids,
        summaries.label.tolist(),
        summaries.runner_up.tolist(),
        map(repr, summaries.confidence.tolist()),
        [reason or "\\N" for reason in summaries.retired],
        ["\\N" if rank is None else rank for rank in summaries.priority],
        summaries.votes,
        _sources(summaries),
        _as_json(summaries.posterior),
        strict=True,
    )
    return ("\t".join(map(str, row)) for row in columns)


def _sources(summaries: Summaries) -> Iterator[str]:
    for gold, predicted, retired in zip(summaries.has_gold, summaries.has_prediction, summaries.retired, strict=True):
        votes = ConsensusSource.VOTES_AND_MACHINE if predicted else ConsensusSource.VOTES
        known = ConsensusSource.REVIEW if retired == "reviewed" else ConsensusSource.GOLD
        yield (known if gold else votes).value


def _as_json(posterior: Floats) -> list[str]:
    """Each row as `live.encode_posterior` would have it stored."""
    if posterior.shape[1] <= DENSE_LABELS:
        return [f"[{row}]" for row in as_text(posterior)]
    return [orjson.dumps(live.encode_posterior(row)).decode() for row in posterior]
