"""Webhooks: a job pushes each one's cursor along the feed, in order, at least once.

A message is stored before it is sent, and the cursor moves when it is acknowledged: whoever is killed in between leaves
it to the next one, who sends the same message again, with the same id. Nothing of this is part of a vote.
"""

from __future__ import annotations

import logging
import random
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta

import orjson
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from aggregation import webhook_queries as queries
from aggregation.models import Webhook
from aggregation.remote.guard import Guard
from aggregation.remote.http import NoAnswer, ask
from aggregation.remote.standard_webhooks import signed_headers
from aggregation.services.consensus import ConsensusRow, read_feed
from aggregation.services.locks import Lock, advisory_lock
from projects.queries import fetch
from projects.services.hints import hint_after_commit

logger = logging.getLogger(__name__)

#: Rows of the feed in one message.
BATCH = 100
#: Seconds that a receiver has to answer, and bytes that are read of what it says.
SECONDS, LARGEST = 15.0, 64 * 1024
#: Seconds after which others have their turn.
TURN = 20.0
#: Pauses after failures in a row: the first, twice as long after each further one, up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 3600.0
#: One that has failed for so long, and so often, is switched off, and its managers see why: days in which nobody tried,
#: because our own worker was off, don't count.
GIVE_UP_AFTER, GIVE_UP_FAILURES = timedelta(days=3), 20
GONE = 410


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt. status: of HTTP, None without an answer; error: empty where it was acknowledged."""

    status: int | None
    error: str


def webhooks_due(*, project_id: int | None = None) -> list[tuple[int, int]]:
    """Webhooks, each with its project, of all projects or of this one, that have something to send now."""
    return [(webhook, project) for webhook, project in fetch(queries.WEBHOOKS_DUE, project=project_id)]


def hint_if_due(*, project_id: int) -> None:
    """After a run: it may have published something."""
    if webhooks_due(project_id=project_id):
        hint_after_commit("aggregation.deliver", project_id)


def deliver(*, project_id: int | None = None) -> int:
    """Send what is due, of all projects or of this one: how many messages were acknowledged.

    Each webhook has its turn, the one that has waited longest first: none has to wait for its hint to find room.
    """
    acknowledged = 0
    for webhook, _ in webhooks_due(project_id=project_id):
        try:
            acknowledged += _take_turn(webhook)
        except Exception:  # whatever ails one, the others have their turn
            logger.exception("Webhook %s could not be sent to", webhook)
    return acknowledged


def _take_turn(webhook_id: int) -> int:
    """One sender per webhook, so that messages arrive in order."""
    acknowledged = 0
    with advisory_lock(Lock.WEBHOOK, webhook_id) as mine:
        end = time.monotonic() + TURN
        while mine and time.monotonic() < end and (webhook := _next_message(webhook_id)) is not None:
            outcome = _send(webhook)
            _note(webhook, outcome)
            if outcome.error:
                break
            acknowledged += 1
    return acknowledged


@transaction.atomic
def _next_message(webhook_id: int) -> Webhook | None:
    """The webhook with the message that it has to send: one that was not acknowledged, or a new one. None: nothing."""
    due = Webhook.objects.select_for_update(of=("self",)).select_related("project")
    webhook = due.filter(id=webhook_id, active=True, due_at__lte=timezone.now()).first()
    if webhook is None or webhook.message:
        return webhook
    rows = read_feed(project=webhook.project, revision=webhook.revision, task=webhook.task, limit=BATCH)
    if not rows:
        return None
    webhook.message = f"msg_{uuid.uuid4().hex}"
    webhook.body = _body(webhook, rows)
    webhook.body_revision, webhook.body_task = rows[-1].revision, rows[-1].task
    webhook.save(update_fields=["message", "body", "body_revision", "body_task"])
    return webhook


def _body(webhook: Webhook, rows: list[ConsensusRow]) -> str:
    data = {"project": webhook.project_id, "results": [row.as_json(webhook.project.labels) for row in rows]}
    return orjson.dumps({"type": "consensus.changed", "timestamp": timezone.now(), "data": data}).decode()


def _send(webhook: Webhook) -> Outcome:
    body, now = (webhook.body or "").encode(), timezone.now()
    keys = [webhook.secret]
    if webhook.old_secret_until is not None and webhook.old_secret_until > now:
        keys.append(webhook.old_secret)
    signed = signed_headers(message=webhook.message, timestamp=int(now.timestamp()), body=body, keys=keys)
    try:
        answer = ask(
            "POST",
            webhook.url,
            headers={"Content-Type": "application/json", "User-Agent": "Crowd", **signed},
            content=body,
            seconds=SECONDS,
            largest=LARGEST,
            guard=Guard(settings.WEBHOOK_HOSTS, "CROWD_WEBHOOK_HOSTS"),
        )
    except NoAnswer as error:
        return Outcome(None, str(error))
    if 200 <= answer.status < 300:
        return Outcome(answer.status, "")
    said = answer.content[:200].decode(errors="replace").replace("\0", "")
    return Outcome(answer.status, f"answered {answer.status}: {said}" if said else f"answered {answer.status}")


@transaction.atomic
def _note(webhook: Webhook, outcome: Outcome) -> None:
    """The cursor moves past what was acknowledged; after a failure the same message waits for its time."""
    now = timezone.now()
    # Whoever has lost the lock with its connection may be late: the message has to be the one that waits. And what came
    # of another address, or before a manager switched it on again, says nothing of the webhook as it is now.
    mine = Webhook.objects.filter(id=webhook.id, message=webhook.message, url=webhook.url)
    seen = {"last_status": outcome.status, "last_error": outcome.error[:1000], "last_attempt_at": now}
    if not outcome.error:
        arrived = {"revision": F("body_revision"), "task": F("body_task"), "message": "", "body": None}
        mine.update(**seen, **arrived, failures=0, failing_since=None, due_at=now, delivered_at=now)
        return
    since = webhook.failing_since or now
    failures = webhook.failures + 1
    failed = {**seen, "failures": failures, "failing_since": since, "due_at": now + pause(failures)}
    if why := _give_up(outcome, now - since, failures):
        failed |= {"active": False, "stopped": why}
    mine.filter(failures=webhook.failures, active=True).update(**failed)


def _give_up(outcome: Outcome, failing: timedelta, failures: int) -> str:
    """Why there is no point in going on; empty while there is."""
    if outcome.status == GONE:
        return "Switched off: its server says that this address is gone (410)."
    if failing >= GIVE_UP_AFTER and failures >= GIVE_UP_FAILURES:
        return f"Switched off after {failing.days} days of failures; the last: {outcome.error}"[:1000]
    return ""


def pause(failures: int) -> timedelta:
    """After so many failures in a row, with jitter: half of the pause at least, so that not all come back at once."""
    whole = min(FIRST_PAUSE * 2.0 ** min(failures - 1, 30), LONGEST_PAUSE)
    return timedelta(seconds=whole * random.uniform(0.5, 1.0))
