"""Celery's doors to the services. Every job is idempotent, carries an id only, and may be lost or doubled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import BoundedSemaphore

from celery import shared_task

from aggregation import queries
from aggregation.services import backtests, delivering, reviews, rules, tiers
from aggregation.services import refit as refits
from aggregation.services import retrain as retrainings
from projects.queries import fetch
from projects.services.assignments import expire_leases
from projects.services.hints import send_hint
from projects.services.idempotency import forget_old_keys
from projects.services.sanctions import end_pauses, resume_pending

#: Of a worker's four threads two are for long jobs and one is for who waits for other people's servers, so that one is
#: left to the sweeper and leases end on time. Whoever finds no room goes away: the sweeper sends the hint again.
_long_jobs, _deliveries = BoundedSemaphore(2), BoundedSemaphore(1)


@contextmanager
def _room(places: BoundedSemaphore) -> Iterator[bool]:
    found = places.acquire(blocking=False)
    try:
        yield found
    finally:
        if found:
            places.release()


def _room_for_a_long_job() -> AbstractContextManager[bool]:
    return _room(_long_jobs)


@shared_task(name="aggregation.refit")
def refit(project_id: int) -> None:
    with _room_for_a_long_job() as found:
        if found and refits.refit(project_id=project_id):
            rules.apply_rules(project_id=project_id)
            retrainings.hint_if_due(project_id=project_id)
            tiers.hint_if_due(project_id=project_id)
            delivering.hint_if_due(project_id=project_id)


@shared_task(name="aggregation.retrain")
def retrain(project_id: int) -> None:
    with _room_for_a_long_job() as found:
        if found:
            retrainings.retrain(project_id=project_id)
            tiers.hint_if_due(project_id=project_id)


@shared_task(name="aggregation.look")
def look(project_id: int) -> None:
    with _room_for_a_long_job() as found:
        if found:
            tiers.look(project_id=project_id)


@shared_task(name="aggregation.backtest")
def backtest(project_id: int) -> None:
    with _room_for_a_long_job() as found:
        if found:
            backtests.run_backtest(project_id=project_id)


@shared_task(name="aggregation.deliver")
def deliver(project_id: int) -> None:
    with _room(_deliveries) as found:
        if found:
            delivering.deliver(project_id=project_id)


@shared_task(name="aggregation.publish_reviews")
def publish_reviews(project_id: int) -> None:
    reviews.publish_reviews(project_id=project_id)


@shared_task(name="aggregation.sweep")
def sweep() -> None:
    """Beat's heartbeat: end leases, forget old keys, and re-send the hint for whatever the rows say is due."""
    while expire_leases() > 0:
        continue
    forget_old_keys()
    end_pauses()
    resume_pending()
    for (project_id,) in fetch(queries.REFIT_DUE):
        send_hint("aggregation.refit", project_id)
    for (project_id,) in fetch(queries.REVIEWS_DUE):
        send_hint("aggregation.publish_reviews", project_id)
    for project_id in retrainings.retraining_due():
        send_hint("aggregation.retrain", project_id)
    for (project_id,) in fetch(queries.BACKTESTS_DUE):
        send_hint("aggregation.backtest", project_id)
    for project_id in tiers.looks_due():
        send_hint("aggregation.look", project_id)
    for project_id in {project_id for _, project_id in delivering.webhooks_due()}:
        send_hint("aggregation.deliver", project_id)
