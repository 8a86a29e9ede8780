"""Creating and configuring projects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from aggregation.core.packages import NEEDED, how_to_install
from projects import queries
from projects.errors import Conflict, EditedMeanwhile, Invalid
from projects.models import (
    Acquisition,
    LiveModel,
    Member,
    PlacesDue,
    PooledError,
    Project,
    ProjectStatus,
    Role,
    Task,
    TaskState,
    User,
)
from projects.services import budget, gold
from projects.services.hints import hint_after_commit
from projects.services.recompute import recompute_in_chunks
from projects.services.uploads import lock_tasks_of

#: Settings that what is published depends on.
STEERING = {
    "acquisition",
    "explore_share",
    "search_label",
    "flag_below",
    "gold_exposures",
    "gold_share",
    "label_model",
    "learner",
    "learner_fields",
    "max_skips",
    "order",
    "min_votes",
    "newcomer_votes",
    "redundancy",
    "target_confidence",
}
#: Settings that say which task comes next.
PLACING = {"acquisition", "explore_share", "order", "search_label"}
#: Settings that say when a task stops.
STOPPING = {"flag_below", "gold_exposures", "gold_share", "max_skips", "min_votes", "redundancy", "target_confidence"}
#: Settings of the three tiers.
TIERS = {"auto_label_error", "auto_label_confidence", "audit_share", "confirm_above"}
#: Settings that say when the whole project stops.
TARGET = {"target_accuracy", "target_accuracy_confidence"}
#: Whoever wishes otherwise has the project go on, until the next look at what is certified.
GOES_ON: dict[str, Any] = {"stopped_at": None}
#: Label models that draw what few votes say of an annotator towards what all votes say of everybody.
CAUTIOUS = {"auto", "difficulty_dawid_skene", "hierarchical_dawid_skene"}
#: What an annotator nobody knows yet is taken to be, before the first refit measures it.
FIRST_POOLED_ACCURACY = 0.7


@transaction.atomic
def create_project(*, creator: User, settings: Mapping[str, Any]) -> Project:
    """A new project with its first manager and an even live model: the way of a vote works from the first one on."""
    _check_learner(settings.get("learner"), settings.get("learner_fields"))
    _check_package(settings)
    project = Project.objects.create(**settings, **_confirming(settings))
    check_target(project.label_model, project.target_confidence, project.min_votes)
    _check_search(project)
    Member.objects.create(project=project, user=creator, name=creator.name, role=Role.MANAGER)
    _make_live_model(project)
    if project.costs:
        budget.configure_budget(project=project, before=None)
    return project


def _confirming(settings: Mapping[str, Any]) -> dict[str, bool]:
    """That people are shown what the machine says is noted for good: votes remember it."""
    return {"has_confirmed": True} if settings.get("confirm_above") is not None else {}


def _check_learner(learner: str | None, fields: Sequence[str] | None) -> None:
    if learner and not fields:
        detail = "Name the fields of the tasks' data that the learner reads."
        raise Invalid(detail, field="learner_fields", code="required")


def _check_package(settings: Mapping[str, Any]) -> None:
    """Whoever chooses a learner whose package is not installed is told how to."""
    learner = settings.get("learner")
    if learner in NEEDED and find_spec(NEEDED[learner]) is None:
        raise Invalid(how_to_install(learner), field="learner", code="not_installed")


def check_target(label_model: str, target: float | None, min_votes: int) -> None:
    """Only a label model that is cautious about what it hardly knows may stop after a single vote."""
    if target is not None and min_votes < 2 and label_model not in CAUTIOUS:
        detail = f"{label_model} is sure after one vote: with a target confidence it needs at least 2 votes a task."
        raise Invalid(detail, field="min_votes", code="too_few_votes")


def _check_search(project: Project) -> None:
    """Who searches says for what; and what is said is a label."""
    known = project.search_label in project.labels
    if not known and (project.search_label is not None or project.acquisition == Acquisition.SEARCH):
        raise Invalid("Name the label to search for, one of the project's.", field="search_label", code="unknown_label")


def _make_live_model(project: Project) -> None:
    K = len(project.labels)
    LiveModel.objects.update_or_create(
        project=project,
        defaults={
            "label_prior": [1 / K] * K,
            "kind_prior": None,
            "pooled_accuracy": FIRST_POOLED_ACCURACY,
            "calibration": None,
        },
    )
    errors = (1 - np.eye(K)) / (K - 1)
    PooledError.objects.filter(project=project).delete()
    PooledError.objects.bulk_create(
        PooledError(project=project, voted=voted, vector=errors[:, voted].tolist()) for voted in range(K)
    )


@transaction.atomic
def configure_project(*, project_id: int, version: int, changes: Mapping[str, Any]) -> Project:
    """Change settings that were read at ``version``; everything that follows from them changes with them.

    Raises EditedMeanwhile if somebody else changed the project since, Conflict if labels can't be changed any more or
    the budget is spent already (``configure_budget``).
    """
    if changes.keys() & ({"labels", "redundancy", "order"} | gold.SETTINGS):
        lock_tasks_of(project_id)  # an upload that is being merged ends first; the next one reads the new settings
    before = Project.objects.filter(id=project_id).first() if changes.keys() & budget.SETTINGS else None
    # The conditional update is the rule: of two managers who edit at once, one is told.
    edited = Project.objects.filter(id=project_id, version=version).update(
        **changes,
        **_confirming(changes),
        **(GOES_ON if changes.keys() & TARGET else {}),
        version=F("version") + 1,
    )
    if not edited:
        raise EditedMeanwhile(field="version")
    project = Project.objects.get(id=project_id)
    _check_learner(project.learner, project.learner_fields)
    _check_package(changes)
    check_target(project.label_model, project.target_confidence, project.min_votes)
    _check_search(project)
    if "labels" in changes:
        if Task.objects.filter(project=project).exists():
            raise Conflict("Labels can't be changed once there are tasks.", field="labels", code="labels_fixed")
        _make_live_model(project)
    if changes.keys() & (STOPPING | {"order"}):
        queries.fetch(queries.LOCK_STATES, project=project.id)
    if changes.keys() & STOPPING:
        _retire_anew(project, changes)
    if "order" in changes:
        queries.fetch(queries.CHANGE_ORDER, project=project.id)
    if changes.keys() & {"learner", "learner_fields"}:
        _forget_learner(project)
    if changes.keys() & budget.SETTINGS:
        budget.configure_budget(project=project, before=before)
    if changes.keys() & PLACING:
        request_places(project_id=project.id)  # of tasks without votes; a refit does the others
    if changes.keys() & STEERING:
        request_refit(project_id=project.id)
    if changes.keys() & TIERS:
        hint_after_commit("aggregation.look", project.id)
    if changes.keys() & (TARGET | budget.SETTINGS | {"audit_share"}):
        hint_after_commit("aggregation.look_at_target", project.id)
    return project


def _retire_anew(project: Project, changes: Mapping[str, Any]) -> None:
    """Every task, all of them locked, stops or goes on as the new settings have it.

    A task without a redundancy of its own wants the project's, but never less than it has handed out. What its votes
    make of a gold task is stored nowhere, so gold tasks are recomputed.
    """
    if "redundancy" in changes:
        queries.fetch(queries.CHANGE_REDUNDANCY, project=project.id, redundancy=project.redundancy)
    if changes.keys() & ({"redundancy"} | gold.SETTINGS):
        gold.place_gold(project)
    if "max_skips" in changes:
        queries.fetch(queries.CHANGE_MAX_SKIPS, project=project.id, max_skips=project.max_skips)
    queries.fetch(queries.RETIRE_ANEW, project=project.id)
    known = TaskState.objects.filter(project=project, votes__gt=0, task__gold__isnull=False)
    recompute_in_chunks(project=project, task_ids=list(known.values_list("task_id", flat=True)))


def _forget_learner(project: Project) -> None:
    """What another learner has said steers nothing any more; the new one, if any, is trained as soon as can be.

    Without weight predictions are none; a job deletes them, and what they made of tasks without votes.
    """
    LiveModel.objects.filter(project=project).update(prediction_weight=0, teaching=0, learner_run=None)
    request_places(project_id=project.id)
    if project.learner and TaskState.objects.filter(project=project, votes__gt=0).exists():
        request_retraining(project_id=project.id)


def set_status(*, project_id: int, status: ProjectStatus) -> Project:
    """Pause or resume. Votes already on their way in another transaction may still land."""
    Project.objects.filter(id=project_id).exclude(status=status).update(status=status, version=F("version") + 1)
    return Project.objects.get(id=project_id)


def request_refit(*, project_id: int) -> None:
    """A refit is due, whether there is news or not."""
    Project.objects.filter(id=project_id).update(refit_requested_at=timezone.now())
    hint_after_commit("aggregation.refit", project_id)


def request_places(*, project_id: int, first: int = 0) -> None:
    """Tasks from this one on are to have the places, and the predictions, that settings and learner give them now."""
    PlacesDue.objects.create(project_id=project_id, first=first)
    hint_after_commit("aggregation.place", project_id)


def request_retraining(*, project_id: int) -> None:
    """A retraining is due now. Raises Conflict if the project has no learner."""
    if not Project.objects.filter(id=project_id, learner__isnull=False).update(retrain_requested_at=timezone.now()):
        raise Conflict('This project has no learner: set "learner" first.', field="learner", code="no_learner")
    hint_after_commit("aggregation.retrain", project_id)
