"""Hints to Celery: "look, there may be work". Sent after commit, never needed: the sweeper finds what hints missed."""

from __future__ import annotations

import logging
import time
from functools import partial

from celery import current_app
from django.db import transaction

logger = logging.getLogger(__name__)

#: A process hints at the same work at most this often: a burst of votes is one hint.
SECONDS_BETWEEN_HINTS = 1.0
#: After a failure the broker is left alone this long, so that votes don't wait for it one by one.
SECONDS_AFTER_FAILURE = 15.0

_quiet_until: dict[tuple[str, int], float] = {}
_broker_quiet_until = 0.0


def hint_after_commit(job: str, project_id: int) -> None:
    """Send ``job(project_id)`` once the present transaction is committed."""
    transaction.on_commit(partial(send_hint, job, project_id), robust=True)


def send_hint(job: str, project_id: int) -> None:
    """Send a message, unless one was sent just now. Never fails and never waits long."""
    global _broker_quiet_until
    now = time.monotonic()
    if now < _broker_quiet_until or now < _quiet_until.get((job, project_id), 0.0):
        return
    _quiet_until[job, project_id] = now + SECONDS_BETWEEN_HINTS
    try:
        current_app.send_task(job, [project_id], expires=60, retry=False)
    except Exception as error:  # whatever the broker's client raises: a vote is stored, a hint is only a hint
        _broker_quiet_until = now + SECONDS_AFTER_FAILURE
        logger.warning("The broker took no hint (%s); the sweeper will find the work.", error)
