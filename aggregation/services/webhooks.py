"""What managers do with webhooks: register them, switch them on and off, change their secret, remove them."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from aggregation import webhook_queries as queries
from aggregation.models import Webhook
from aggregation.remote.standard_webhooks import new_secret
from projects.errors import Conflict, NotFound
from projects.models import Project
from projects.queries import fetch
from projects.services.hints import hint_after_commit

#: Of one project.
MOST_WEBHOOKS = 10
#: After a change the secret before signs, too, for so long: receivers learn the new one without losing a message.
OLD_SECRET_HOURS = 24
#: Of rows that wait for a webhook no more are counted.
MOST_COUNTED = 1000
#: Behind every task of one revision.
LAST_TASK = 2**63 - 1


@transaction.atomic
def register_webhook(*, project: Project, url: str, from_now: bool) -> Webhook:
    """A webhook, with the secret that nobody is shown later. from_now: not what has been published already.

    Raises Conflict where the project has as many as it may.
    """
    Project.objects.select_for_update(no_key=True).get(id=project.id)
    if Webhook.objects.filter(project=project).count() >= MOST_WEBHOOKS:
        raise Conflict(f"A project has at most {MOST_WEBHOOKS} webhooks: remove one first.", code="too_many_webhooks")
    start = {"revision": fetch(queries.END_OF_FEED)[0][0], "task": LAST_TASK} if from_now else {}
    webhook = Webhook.objects.create(project=project, url=url, secret=new_secret(), **start)
    hint_after_commit("aggregation.deliver", project.id)
    webhook.refresh_from_db()
    return webhook


@transaction.atomic
def change_webhook(*, project: Project, webhook_id: int, url: str | None = None, active: bool | None = None) -> Webhook:
    """Another address, on or off. Switched on, it goes on where it was, at once. Raises NotFound."""
    webhook = _held(project, webhook_id)
    if url is not None:
        webhook.url = url
    if active is not None:
        webhook.active = active
    if url is not None or active:
        webhook.stopped, webhook.failures, webhook.failing_since, webhook.due_at = "", 0, None, timezone.now()
    webhook.save(update_fields=["url", "active", "stopped", "failures", "failing_since", "due_at"])
    hint_after_commit("aggregation.deliver", project.id)
    return webhook


@transaction.atomic
def change_secret(*, project: Project, webhook_id: int) -> Webhook:
    """A new secret; for a day the one before signs, too. Raises NotFound."""
    webhook = _held(project, webhook_id)
    webhook.old_secret, webhook.secret = webhook.secret, new_secret()
    webhook.old_secret_until = timezone.now() + timedelta(hours=OLD_SECRET_HOURS)
    webhook.save(update_fields=["secret", "old_secret", "old_secret_until"])
    return webhook


def remove_webhook(*, project: Project, webhook_id: int) -> None:
    """Raises NotFound. A request that is on its way still arrives."""
    if not Webhook.objects.filter(project=project, id=webhook_id).delete()[0]:
        raise NotFound("This project has no such webhook.")


def backlog_of(webhook: Webhook) -> int:
    """Published rows that it has not acknowledged, counted up to `MOST_COUNTED`."""
    position = {"project": webhook.project_id, "revision": webhook.revision, "task": webhook.task}
    ((waiting,),) = fetch(queries.WEBHOOK_BACKLOG, **position, most=MOST_COUNTED)
    return int(waiting)


def _held(project: Project, webhook_id: int) -> Webhook:
    webhook = Webhook.objects.select_for_update().defer("body").filter(project=project, id=webhook_id).first()
    if webhook is None:
        raise NotFound("This project has no such webhook.")
    return webhook
