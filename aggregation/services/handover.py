"""Handover: a system in production asks; the machine answers what it is certified for, people answer the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from psycopg.types.json import Jsonb

from aggregation import queries, tier_queries
from aggregation.core import live
from aggregation.core.votes import Floats
from aggregation.models import Auditing, ConsensusSource, Run, RunKind, RunStatus
from aggregation.services.alone import InForce, give, in_force
from aggregation.services.drawing import draw_new
from aggregation.services.on_call import champion_run, predict_now
from aggregation.services.scoring import score_new
from projects.errors import NotFound
from projects.models import Learner, Project, ProjectStatus, Task
from projects.queries import fetch, from_json
from projects.services import budget
from projects.services.handover import HandedOver, check_tasks, store_tasks
from projects.services.projects import request_places
from projects.services.recompute import recompute_tasks


@dataclass(frozen=True)
class Answer:
    """What is known of a task: a label and where it comes from, or (both None) that people are asked.

    held_up: why nobody answers for the time being, if nobody does.
    """

    task: int
    key: str | None
    label: str | None = None
    confidence: float | None = None
    source: str | None = None
    run: int | None = None
    votes: int = 0
    held_up: str | None = None

    @property
    def status(self) -> str:
        return "asked" if self.label is None else "answered"


def predict(*, project: Project, items: Sequence[Any]) -> list[Answer]:
    """Answer each task at once if the machine is certified for it; else people are asked before anything else.

    A key that is known with the same data gives what is known of its task now. Raises InvalidTasks or Conflict, and
    nothing is stored.
    """
    tasks = check_tasks(project=project, items=items)
    # A remote learner is not asked: it is never certified, and nobody in production waits for somebody else's server.
    # People get the task, and the next retraining has it predicted with all others.
    run = None if project.learner == Learner.REMOTE else champion_run(project)
    predicted = predict_now(run=run, payloads=[data for _, data in tasks])
    with transaction.atomic():
        stored = store_tasks(project=project, tasks=tasks)
        said = {stored.ids[place]: posterior for place, posterior in predicted.items()}
        _note_predictions(project, run, stored, said)
        if stored.new and _champion_changes(project, run):
            # The next champion may have read the pool already; once it is in force it is asked about these, too.
            request_places(project_id=project.id, first=min(stored.new))
        return _answers(project, stored.ids)


def _champion_changes(project: Project, asked: int | None) -> bool:
    """Whether another learner than the one asked is in force, or may soon be.

    The caller holds the project's row, which whoever changes the champion needs.
    """
    if project.learner in (None, Learner.REMOTE):
        return False
    running = Run.objects.filter(project=project, kind=RunKind.RETRAINING, status=RunStatus.RUNNING)
    return champion_run(project) != asked or running.exists()


def answer_of(*, project: Project, which: str) -> Answer:
    """What is known of the task with this key or, if none has it, this id. Raises NotFound."""
    mine = Task.objects.filter(project=project)
    task = mine.filter(key=which).first()
    if task is None and which.isascii() and which.isdecimal() and len(which) < 19:
        task = mine.filter(id=int(which)).first()
    if task is None:
        raise NotFound("This project has no such task.")
    with transaction.atomic():
        (answer,) = _answers(project, [task.id])
    return answer


def _note_predictions(project: Project, run: int | None, stored: HandedOver, said: dict[int, Floats]) -> None:
    """What the machine says of new tasks is stored; and it is their label where it may answer and is not audited."""
    new = [id_ for id_ in said if id_ in stored.new]
    if not new or run is None:
        return
    rows = [{"task_id": id_, "posterior": live.encode_posterior(said[id_])} for id_ in new]
    fetch(queries.WRITE_PREDICTIONS, rows=Jsonb(rows), run=run)
    score_new(project=project, run=run, said={id_: said[id_] for id_ in new})
    auditing = Auditing.objects.filter(project=project).first()
    if auditing is not None:
        draw_new(project=project, auditing=auditing, run=run, task_ids=new)
    certificate = in_force(project)
    if certificate is not None:
        proba = {id_: certificate.says(said[id_]) for id_ in new}
        sure = {id_: p for id_, p in proba.items() if certificate.covers(id_, run, p)}
        give(project=project, certificate=certificate, said=sure, wait="")
    recompute_tasks(project=project, task_ids=sorted(new))


def _answers(project: Project, ids: Sequence[int]) -> list[Answer]:
    certificate, nobody = in_force(project), _nobody_is_asked(project)
    rows = {row[0]: row for row in fetch(tier_queries.ANSWERS, tasks=list(ids))}
    return [_answer(project, certificate, nobody, rows[id_]) for id_ in ids]


#: Reasons for which tasks retire that only experts answer.
EXPERTS = {"flagged", "disputed"}
#: Labels that stay what they are, whether or not the task goes on.
KNOWN = {ConsensusSource.GOLD, ConsensusSource.REVIEW, ConsensusSource.MACHINE}


def _answer(project: Project, certificate: InForce | None, nobody: str | None, row: tuple[Any, ...]) -> Answer:
    task, key, label, confidence, source, retired, run, votes, encoded, predicted_by, stopped, free = row
    if label is not None and (retired is not None or source in KNOWN):
        return Answer(task, key, project.labels[label], confidence, source, run, votes)
    if free and certificate is not None and encoded is not None:
        # Audited: people look at it, too, and their answer will replace this one.
        said = certificate.says(live.decode_posterior(from_json(encoded), len(project.labels)))
        if certificate.covers(task, predicted_by, said):
            name, sure = project.labels[int(said.argmax())], float(said.max())
            return Answer(task, key, name, sure, ConsensusSource.MACHINE.value, predicted_by, votes)
    return Answer(task, key, votes=votes, held_up=nobody if stopped is None else _held_up(stopped, votes))


def _nobody_is_asked(project: Project) -> str | None:
    """Why not, of all tasks that go on."""
    if project.status == ProjectStatus.PAUSED:
        return "The project is paused: nobody is asked."
    if project.stopped_at is not None:
        return "The project has reached its target_accuracy: nobody is asked unless it is raised or tasks are added."
    if project.costs and budget.shortage(project.id) == "budget_spent":
        return "The project's budget is spent: nobody is asked before it is raised."
    return None


def _held_up(stopped: str, votes: int) -> str | None:
    """Why a task that goes on no more has no answer; None where people have answered, and the next refit tells what."""
    if stopped in EXPERTS:
        return f"It is {stopped}: it waits for an expert's answer (POST /api/projects/{{id}}/reviews/{{task}})."
    return None if votes else "It was uploaded with redundancy 0: nobody is asked."
