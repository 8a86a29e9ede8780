"""Backtests: what other settings would have made of a project's own votes, told before they are paid for."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now

from aggregation.models import Backtest, BacktestStatus
from aggregation.services.fitting import load_votes
from aggregation.services.locks import Lock, advisory_lock
from aggregation.services.replaying import compare, policy_of, with_settings
from aggregation.services.runs import reason
from projects.errors import Conflict, Invalid
from projects.models import Project
from projects.services.hints import hint_after_commit
from projects.services.projects import check_target

#: A backtest whose process was killed so often is given up.
MOST_ATTEMPTS = 3


class BacktestWaiting(Conflict):
    """This project has a backtest that is not finished yet: wait for its result."""

    code = "backtest_waiting"


def request_backtest(*, project: Project, settings: dict[str, Any]) -> Backtest:
    """Ask what these settings would have made of the project's votes. Raises Invalid, or BacktestWaiting."""
    try:
        asked = with_settings(policy_of(project), settings)
    except ValueError as error:
        raise Invalid(str(error), field=str(error).split()[0]) from error
    check_target(asked.label_model, asked.target_confidence, asked.min_votes)
    try:
        with transaction.atomic():
            backtest = Backtest.objects.create(project=project, settings=settings)
            hint_after_commit("aggregation.backtest", project.id)
    except IntegrityError as error:
        raise BacktestWaiting() from error
    backtest.refresh_from_db()
    return backtest


def run_backtest(*, project_id: int) -> Backtest | None:
    """Run the backtest that the project waits for. None if there is none, or another process is at it."""
    with advisory_lock(Lock.BACKTEST, project_id) as mine:
        backtest = Backtest.objects.filter(project=project_id, finished_at__isnull=True).first() if mine else None
        if backtest is None:
            return None
        # One that says running was killed, for nobody else holds the lock.
        unfinished = Backtest.objects.filter(id=backtest.id)
        unfinished.update(status=BacktestStatus.RUNNING, attempts=F("attempts") + 1, progress=0.0)
        try:
            if backtest.attempts >= MOST_ATTEMPTS:
                raise RuntimeError(f"interrupted {backtest.attempts} times")
            project = Project.objects.get(id=project_id)
            result = compare(
                project, load_votes(project=project), backtest.settings, lambda done: unfinished.update(progress=done)
            )
        except Exception as error:
            unfinished.update(status=BacktestStatus.FAILED, error=reason(error), finished_at=Now())
        else:
            unfinished.update(status=BacktestStatus.DONE, result=result, progress=1.0, finished_at=Now())
    backtest.refresh_from_db()
    return backtest
