"""Celery's doors to the services. Every job is idempotent, carries an id only, and may be lost or doubled."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from threading import BoundedSemaphore, get_native_id

from celery import shared_task
from django.db import connections

from aggregation import queries
from aggregation.services import backtests, delivering, placing, reviews, rules, target, tiers
from aggregation.services import refit as refits
from aggregation.services import retrain as retrainings
from projects.queries import fetch
from projects.services.assignments import expire_leases
from projects.services.hints import send_hint
from projects.services.idempotency import forget_old_keys
from projects.services.sanctions import end_pauses, resume_pending

#: Of a worker's five threads two are for long jobs, one each for who waits for somebody else's server, a remote learner
#: or a webhook's, so that nobody else waits for it, and one is left to the sweeper, so that leases end on time. Whoever
#: finds no room goes away: the sweeper sends the hint again.
_long_jobs, _remote_learners, _deliveries = BoundedSemaphore(2), BoundedSemaphore(1), BoundedSemaphore(1)
#: Of the long jobs one may be a backtest, which takes minutes where there is a learner: refits always find the other.
_backtests = BoundedSemaphore(1)


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


#: As of `nice`: where all processors are busy, a third of what others get.
LOWER_PRIORITY = 5


def behind_voting(work: Callable[[], object]) -> None:
    """Do what keeps a processor busy for minutes, so that people who vote come first: in a thread of its own, since
    no thread may raise its priority again."""

    def do() -> None:
        mine = get_native_id()
        os.setpriority(os.PRIO_PROCESS, mine, max(LOWER_PRIORITY, os.getpriority(os.PRIO_PROCESS, mine)))
        try:
            work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as own:
        own.submit(do).result()


@shared_task(name="aggregation.refit")
def refit(project_id: int) -> None:
    with _room_for_a_long_job() as found:
        if found and refits.refit(project_id=project_id):
            rules.apply_rules(project_id=project_id)
            retrainings.hint_if_due(project_id=project_id)
            tiers.hint_if_due(project_id=project_id)
            target.hint_if_due(project_id=project_id)
            delivering.hint_if_due(project_id=project_id)


@shared_task(name="aggregation.retrain")
def retrain(project_id: int) -> None:
    remote = retrainings.is_remote(project_id=project_id)
    with _room(_remote_learners) if remote else _room_for_a_long_job() as found:
        if found:
            behind_voting(lambda: retrainings.retrain(project_id=project_id, remote=remote))
            tiers.hint_if_due(project_id=project_id)


@shared_task(name="aggregation.place")
def place(project_id: int) -> None:
    with _room_for_a_long_job() as found:
        if found:
            behind_voting(lambda: placing.place_tasks(project_id=project_id))


@shared_task(name="aggregation.look")
def look(project_id: int) -> None:
    with _room_for_a_long_job() as found:
        if found:
            tiers.look(project_id=project_id)


@shared_task(name="aggregation.look_at_target")
def look_at_target(project_id: int) -> None:
    with _room_for_a_long_job() as found:
        if found:
            behind_voting(lambda: target.look_at_target(project_id=project_id))


@shared_task(name="aggregation.backtest")
def backtest(project_id: int) -> None:
    with _room(_backtests) as alone, _room_for_a_long_job() as found:
        if alone and found:
            behind_voting(lambda: backtests.run_backtest(project_id=project_id))


@shared_task(name="aggregation.deliver")
def deliver(project_id: int) -> None:
    """Of all projects: of many hints at once one finds room."""
    with _room(_deliveries) as found:
        if found:
            delivering.deliver()


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
    for project_id in placing.places_due():
        send_hint("aggregation.place", project_id)
    for (project_id,) in fetch(queries.BACKTESTS_DUE):
        send_hint("aggregation.backtest", project_id)
    for project_id in tiers.looks_due():
        send_hint("aggregation.look", project_id)
    for project_id in target.targets_due():
        send_hint("aggregation.look_at_target", project_id)
    for project_id in {project_id for _, project_id in delivering.webhooks_due()}:
        send_hint("aggregation.deliver", project_id)
