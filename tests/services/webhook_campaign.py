"""A campaign whose labels are sent to a webhook, by the test itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from aggregation.models import Webhook
from aggregation.services.delivering import deliver, webhooks_due
from aggregation.services.locks import Lock
from aggregation.services.webhooks import register_webhook
from projects.queries import fetch
from tests.services.campaign import Campaign
from tests.support.client import wait_for
from tests.support.receiver import Receiver

Make = Callable[..., Campaign]
DOCS = Path(__file__).resolve().parents[2] / "docs"


@contextmanager
def six_labelled(campaign: Make) -> Iterator[Campaign]:
    """Six tasks that people have labelled; its webhooks leave with the test."""
    made = campaign()
    made.upload([{"key": str(n), "data": {"n": n}} for n in range(6)])
    label(made, range(6), "Ada", "cat")
    yield made
    Webhook.objects.filter(project=made.id).delete()


def label(c: Campaign, tasks: Any, worker: str, label: str) -> None:
    c.import_votes([(str(n), worker, label) for n in tasks])
    c.refit()


def register(c: Campaign, server: Receiver, **arguments: Any) -> Webhook:
    """A webhook that the stack's worker leaves to us: its lock is ours before anybody knows of it."""
    with transaction.atomic():
        made = register_webhook(project=c.project, url=server.url, **{"from_now": False, **arguments})
        # For as long as this session lasts; and a session may take its locks again.
        fetch("SELECT pg_advisory_lock(%(lock)s, %(webhook)s)", lock=Lock.WEBHOOK.value, webhook=made.id)
    return made


def send(c: Campaign) -> int:
    """The messages that arrive, once everything published so far can be read."""
    wait_for(lambda: webhooks_due(project_id=c.id), what="something to send")
    return deliver(project_id=c.id)


def again(webhook: Webhook) -> Webhook:
    """As it is now; its pause after a failure is over."""
    Webhook.objects.filter(id=webhook.id).update(due_at=timezone.now())
    return Webhook.objects.get(id=webhook.id)


def verify(secret: str, headers: dict[str, str], body: bytes) -> None:
    """The very function that the documentation gives to receivers."""
    found: dict[str, Any] = {}
    (source,) = re.findall(r"```python\n(.*?)```", (DOCS / "webhooks.md").read_text(), flags=re.DOTALL)
    exec(source, found)
    found["verify"](secret, headers, body)
