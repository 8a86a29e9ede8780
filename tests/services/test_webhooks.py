"""Webhooks: the feed's rows in order, at least once, signed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone

from aggregation.models import Consensus, Run, Webhook
from aggregation.remote.standard_webhooks import signed_headers
from aggregation.services import delivering
from aggregation.services.consensus import republish_after_restore
from aggregation.services.delivering import deliver
from aggregation.services.webhooks import backlog_of, change_secret, change_webhook, register_webhook
from projects.errors import Conflict, NotFound
from projects.services.live_model import live_model
from tests.concurrency.races import together
from tests.services.campaign import Campaign
from tests.services.webhook_campaign import Make, label, register, send, six_labelled, verify
from tests.support.receiver import Receiver


@pytest.fixture
def c(campaign: Make) -> Iterator[Campaign]:
    with six_labelled(campaign) as made:
        yield made


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
