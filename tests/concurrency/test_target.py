"""A project stops once, whoever looks at the same moment, and never at a target that has been changed."""

from __future__ import annotations

from collections.abc import Callable

from django.db import IntegrityError

from aggregation.models import AccuracyCertificate
from aggregation.services.halting import go_on, stop
from aggregation.services.locks import Lock, advisory_lock
from projects.queries import budget
from projects.services.projects import configure_project
from tests.concurrency.races import together
from tests.services.campaign import Campaign


def test_of_looks_at_the_same_moment_one_stops_the_project(campaign: Callable[..., Campaign]) -> None:
    c = campaign(tasks=1, target_accuracy=0.9)
    with advisory_lock(Lock.TARGET, c.id):
        project = c.fresh()

        def halt() -> bool:
            try:
                return stop(project=project, freeze=None, figures={"bound": 0.95})
            except IntegrityError:
                return False

        stopped = together([halt] * 8)

        assert any(stopped) and c.fresh().stopped_at is not None
        assert AccuracyCertificate.objects.filter(project=c.id).count() == 1


def test_a_stop_and_another_target_at_the_same_moment_leave_the_project_going(
    campaign: Callable[..., Campaign],
) -> None:
    for _ in range(5):
        c = campaign(tasks=1, target_accuracy=0.9)
        with advisory_lock(Lock.TARGET, c.id):
            project = c.fresh()
            together(
                [
                    lambda p=project: stop(project=p, freeze=None, figures={"bound": 0.92}),
                    lambda p=project: configure_project(
                        project_id=p.id, version=p.version, changes={"target_accuracy": 0.95}
                    ),
                ]
            )
            assert c.fresh().stopped_at is None
            go_on(project=c.fresh(), reason="Less than the target.")
            assert not AccuracyCertificate.objects.filter(project=c.id, kind="issued", ended_at__isnull=True).exists()


def test_no_job_holds_the_lock_under_which_a_budget_is_changed() -> None:
    taken = {f"pg_advisory_xact_lock({lock.value}, %(project)s" for lock in Lock}
    assert not any(each in budget.LOCK_BUDGET for each in taken)
