"""Webhooks: the feed's rows in order, at least once, signed; what fails is tried again, later and later."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from aggregation.models import Consensus, Run, Webhook
from aggregation.remote.standard_webhooks import signed_headers
from aggregation.services import delivering
from aggregation.services.consensus import republish_after_restore
from aggregation.services.delivering import deliver, pause, webhooks_due
from aggregation.services.locks import Lock, advisory_lock
from aggregation.services.webhooks import backlog_of, change_secret, change_webhook, register_webhook
from projects.errors import Conflict, NotFound
from projects.services.live_model import live_model
from tests.concurrency.races import together
from tests.services.campaign import Campaign
from tests.support.client import wait_for
from tests.support.receiver import Receiver, receiver

Make = Callable[..., Campaign]
DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr(settings, "WEBHOOK_HOSTS", ["127.0.0.1"])
    with receiver() as made:
        yield made


@pytest.fixture
def c(campaign: Make) -> Iterator[Campaign]:
    """Six tasks that people have labelled."""
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
        advisory_lock(Lock.WEBHOOK, made.id).__enter__()
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


def test_rows_of_the_feed_arrive_in_order_in_batches_and_once(
    c: Campaign, server: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "BATCH", 4)
    webhook = register(c, server)

    assert send(c) == 2
    assert [len(message.rows) for message in server.received] == [4, 2]
    assert [row["key"] for message in server.received for row in message.rows] == [str(n) for n in range(6)]
    assert server.received[0].rows[0]["source"] == "votes" and server.received[0].rows[0]["label"] == "cat"
    assert deliver(project_id=c.id) == 0 and len(server.received) == 2

    label(c, [2], "Bob", "dog")
    sent = send(c)
    assert "2" in {row["key"] for message in server.received[2:] for row in message.rows}
    assert len({message.id for message in server.received}) == 2 + sent
    assert backlog_of(Webhook.objects.get(id=webhook.id)) == 0


def test_a_receiver_verifies_the_signature_as_the_documentation_shows(c: Campaign, server: Receiver) -> None:
    webhook = register(c, server)
    send(c)
    (message,) = server.received
    verify(webhook.secret, message.headers, message.body)
    for secret, body in ((webhook.secret, message.body + b" "), (webhook.secret[:-6] + "AAAAA=", message.body)):
        with pytest.raises(ValueError, match="not signed"):
            verify(secret, message.headers, body)
    with pytest.raises(ValueError, match="too old"):
        verify(webhook.secret, message.headers | {"webhook-timestamp": "1600000000"}, message.body)


def test_signatures_are_those_of_the_specification() -> None:
    """The example that the specification's own libraries are tested by."""
    signed = signed_headers(
        message="msg_loFOjxBNrRLzqYUf",
        timestamp=1731705121,
        body=b'{"event_type":"ping","data":{"success":true}}',
        keys=["whsec_plJ3nmyCDGBKInavdOK15jsl"],
    )
    assert signed["webhook-signature"] == "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="


def test_a_new_secret_signs_beside_the_old_one_for_a_day(c: Campaign, server: Receiver) -> None:
    webhook = register(c, server)
    new = change_secret(project=c.project, webhook_id=webhook.id).secret
    send(c)
    for secret in (webhook.secret, new):
        verify(secret, server.received[0].headers, server.received[0].body)
    Webhook.objects.filter(id=webhook.id).update(old_secret_until=timezone.now())
    label(c, range(6), "Bob", "dog")
    send(c)
    verify(new, server.received[1].headers, server.received[1].body)
    with pytest.raises(ValueError, match="not signed"):
        verify(webhook.secret, server.received[1].headers, server.received[1].body)


def test_what_is_not_acknowledged_is_sent_again_byte_for_byte_whatever_has_changed(
    c: Campaign, server: Receiver
) -> None:
    webhook = register(c, server)
    server.answers = lambda _: 503
    assert send(c) == 0
    failed = Webhook.objects.get(id=webhook.id)
    assert (failed.failures, failed.last_status, failed.last_error) == (1, 503, "answered 503")
    assert failed.due_at > timezone.now() and not webhooks_due(project_id=c.id), "it waits"
    label(c, [0], "Bob", "dog")

    again(webhook)
    server.answers = lambda _: 200
    wait_for(lambda: deliver(project_id=c.id) == 0 and len(server.received) == 3, what="the repeat and the news")
    first, repeat, news = server.received
    assert (first.id, first.body) == (repeat.id, repeat.body) and news.id != first.id
    verify(webhook.secret, repeat.headers, repeat.body)
    well = Webhook.objects.get(id=webhook.id)
    assert (well.failures, well.last_error, well.failing_since) == (0, "", None)


@pytest.mark.parametrize(
    ("status", "says"), [(301, "answered 301"), (404, "answered 404"), (500, "answered 500"), (0, "did not answer")]
)
def test_a_failure_is_one_attempt_and_says_what_happened(
    c: Campaign, server: Receiver, monkeypatch: pytest.MonkeyPatch, status: int, says: str
) -> None:
    monkeypatch.setattr(delivering, "SECONDS", 0.5)
    if status == 0:
        monkeypatch.setattr(server, "answers", lambda _: wait_for(lambda: len(server.labels) > 100, seconds=3))
    else:
        server.answers = lambda _: status
    webhook = register(c, server)
    assert send(c) == 0
    assert says in Webhook.objects.get(id=webhook.id).last_error and len(server.received) == 1


def test_an_address_within_the_operators_network_is_refused_and_told(c: Campaign, server: Receiver) -> None:
    settings.WEBHOOK_HOSTS.clear()
    webhook = register(c, server)
    assert send(c) == 0
    assert server.received == []
    error = Webhook.objects.get(id=webhook.id).last_error
    assert "127.0.0.1, which is not public" in error and "CROWD_WEBHOOK_HOSTS" in error


def test_pauses_grow_with_jitter_up_to_an_hour() -> None:
    for failures, longest in ((1, 5), (2, 10), (5, 80), (11, 3600), (10_000, 3600)):
        drawn = [pause(failures).total_seconds() for _ in range(200)]
        assert longest / 2 <= min(drawn) < max(drawn) <= longest and len(set(drawn)) > 100


def test_one_that_fails_for_days_is_switched_off_with_a_reason_and_goes_on_where_it_was(
    c: Campaign, server: Receiver
) -> None:
    webhook = register(c, server)
    server.answers = lambda _: 500
    send(c)
    again(webhook)
    Webhook.objects.filter(id=webhook.id).update(failing_since=timezone.now() - timedelta(days=3, hours=1))
    deliver(project_id=c.id)
    off = Webhook.objects.get(id=webhook.id)
    assert not off.active and off.stopped == "Switched off after 3 days of failures; the last: answered 500"
    assert deliver(project_id=c.id) == 0 and len(server.received) == 2

    server.answers = lambda _: 200
    on = change_webhook(project=c.project, webhook_id=webhook.id, active=True)
    assert (on.stopped, on.failures) == ("", 0)
    assert send(c) == 1 and len(server.labels) == 6


def test_one_that_is_gone_is_switched_off_at_once(c: Campaign, server: Receiver) -> None:
    webhook = register(c, server)
    server.answers = lambda _: 410
    send(c)
    off = Webhook.objects.get(id=webhook.id)
    assert not off.active and "gone (410)" in off.stopped


def test_switched_off_by_a_manager_it_loses_nothing(c: Campaign, server: Receiver) -> None:
    webhook = register(c, server)
    assert change_webhook(project=c.project, webhook_id=webhook.id, active=False).stopped == ""
    assert deliver(project_id=c.id) == 0
    change_webhook(project=c.project, webhook_id=webhook.id, active=True)
    assert send(c) == 1 and len(server.labels) == 6


def test_it_may_begin_with_what_is_published_from_now_on(c: Campaign, server: Receiver) -> None:
    register(c, server)
    send(c)
    register(c, server, from_now=True)
    assert deliver(project_id=c.id) == 0 and len(server.received) == 1
    label(c, [3], "Bob", "cat")
    assert send(c) == 2, "both are told"


def test_a_revoked_label_is_told(c: Campaign, server: Receiver) -> None:
    register(c, server)
    send(c)
    run = live_model(project_id=c.id).run
    Consensus.objects.filter(task=c.task(1)).update(
        label=None, confidence=None, posterior=None, source="revoked", run=Run.objects.get(id=run), revision=xid()
    )
    assert send(c) == 1
    (row,) = server.received[-1].rows
    assert (row["key"], row["source"], row["label"], row["confidence"]) == ("1", "revoked", None, None)


def xid() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        return int(cursor.fetchone()[0])


def test_after_a_restore_it_begins_anew(c: Campaign, server: Receiver) -> None:
    webhook = register(c, server)
    send(c)
    # As if the backup were of a server that had counted further.
    Webhook.objects.filter(id=webhook.id).update(revision=2**60, message="msg_old", body="{}")
    republish_after_restore()
    assert send(c) >= 1
    assert len([row for message in server.received for row in message.rows]) == 12


def test_however_many_would_send_one_does(campaign: Make, server: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four of ours and the stack's worker at once: each row arrives once, in the order of the feed."""
    monkeypatch.setattr(delivering, "BATCH", 3)
    c = campaign()
    c.upload([{"key": str(n), "data": {"n": n}} for n in range(60)])
    label(c, range(60), "Ada", "cat")
    register_webhook(project=c.project, url=server.url, from_now=False)

    def send_too() -> None:
        while len(server.labels) < 60:
            deliver(project_id=c.id)

    together([send_too] * 4)

    assert len({message.id for message in server.received}) == len(server.received)
    feed = Consensus.objects.filter(project=c.id).order_by("revision", "task").values_list("task", flat=True)
    assert [row["task"] for message in server.received for row in message.rows] == list(feed)
    Webhook.objects.filter(project=c.id).delete()


def test_a_project_has_so_many_at_most_however_many_register_at_once(campaign: Make) -> None:
    c = campaign()

    def one(n: int) -> str:
        try:
            register_webhook(project=c.project, url=f"https://example.org/{n}", from_now=False)
        except Conflict as refused:
            return refused.code
        return "made"

    assert sorted(together([partial(one, n) for n in range(12)])) == ["made"] * 10 + ["too_many_webhooks"] * 2
    other = campaign()
    theirs = Webhook.objects.filter(project=c.id).first()
    assert theirs is not None
    with pytest.raises(NotFound):
        change_webhook(project=other.project, webhook_id=theirs.id, active=False)
    Webhook.objects.filter(project=c.id).delete()
