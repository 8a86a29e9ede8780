"""What a webhook's server does not acknowledge is tried again, later and later, until there is no point."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from aggregation.models import Webhook
from aggregation.services import delivering
from aggregation.services.delivering import deliver, pause, webhooks_due
from aggregation.services.webhooks import change_webhook
from tests.services.campaign import Campaign
from tests.services.webhook_campaign import Make, again, label, register, send, six_labelled, verify
from tests.support.client import wait_for
from tests.support.receiver import Receiver, receiver

FOUR_DAYS_AGO = timezone.now() - timedelta(days=4)


@pytest.fixture
def c(campaign: Make) -> Iterator[Campaign]:
    with six_labelled(campaign) as made:
        yield made


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
    long_ago = timezone.now() - timedelta(days=3, hours=1)
    for failures in (1, delivering.GIVE_UP_FAILURES - 1):
        assert again(webhook).active, "a few failures, and then a worker that was off for days, are none"
        Webhook.objects.filter(id=webhook.id).update(failing_since=long_ago, failures=failures)
        deliver(project_id=c.id)
    off = Webhook.objects.get(id=webhook.id)
    assert not off.active and off.stopped == "Switched off after 3 days of failures; the last: answered 500"
    assert deliver(project_id=c.id) == 0 and len(server.received) == 3

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


def test_what_the_address_before_has_failed_is_not_the_present_ones(c: Campaign, server: Receiver) -> None:
    """A manager gives a new address while the old one is asked for the last time."""
    webhook, answers = register(c, server), [200, 410, 500]
    with receiver() as new:

        def meanwhile(_: object) -> int:
            change_webhook(project=c.project, webhook_id=webhook.id, url=new.url)
            connection.close()  # this thread's
            return answers.pop()

        server.answers = meanwhile
        for _ in range(2):
            Webhook.objects.filter(id=webhook.id).update(url=server.url, failures=30, failing_since=FOUR_DAYS_AGO)
            assert send(c) == 0
            now = Webhook.objects.get(id=webhook.id)
            assert (now.active, now.stopped, now.failures, now.last_status) == (True, "", 0, None)
        Webhook.objects.filter(id=webhook.id).update(url=server.url)
        assert send(c) == 2 and len(new.labels) == 6, "what the old one has taken is sent to the new one, too"


def test_a_failure_from_before_it_was_switched_on_again_makes_it_wait_no_longer(c: Campaign, server: Receiver) -> None:
    webhook = register(c, server)
    Webhook.objects.filter(id=webhook.id).update(failures=30, failing_since=FOUR_DAYS_AGO)

    def meanwhile(_: object) -> int:
        change_webhook(project=c.project, webhook_id=webhook.id, active=True)
        connection.close()  # this thread's
        return 500

    server.answers = meanwhile
    assert send(c) == 0
    now = Webhook.objects.get(id=webhook.id)
    assert (now.active, now.failures) == (True, 0) and webhooks_due(project_id=c.id)


def test_each_has_its_turn_the_one_that_has_waited_longest_first_whatever_ails_another(
    campaign: Make, c: Campaign, server: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with six_labelled(campaign) as other:
        broken, first = register(c, server), register(c, server)
        second = register(other, server)
        for n, each in enumerate((broken, first, second)):
            Webhook.objects.filter(id=each.id).update(due_at=timezone.now() - timedelta(days=3 - n))
        wait_for(lambda: len(webhooks_due(project_id=c.id) + webhooks_due(project_id=other.id)) == 3, what="all due")
        sound, turns = delivering._next_message, []

        def next_message(webhook: int) -> Webhook | None:
            turns.append(webhook)
            if webhook == broken.id:
                raise OSError("the disk is full")
            return sound(webhook)

        monkeypatch.setattr(delivering, "_next_message", next_message)
        deliver()
        assert [each for each in turns if each in (broken.id, first.id, second.id)] == [
            *(broken.id, first.id, first.id, second.id, second.id)
        ]
        assert {row["task"] for message in server.received for row in message.rows} == {
            *(task for project in (c, other) for task in (project.task(n) for n in range(6)))
        }
