"""Services in this process, on the stack's database."""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.services.campaign import Campaign
from tests.support.ml_backend import Backend, ml_backend
from tests.support.receiver import Receiver, receiver
from tests.support.stack import Stack


@pytest.fixture(autouse=True)
def _no_hints_from_this_process() -> Iterator[None]:
    """Leave the broker alone, as after a failure: the test refits itself, and the stack's sweeper needs no hint."""
    from projects.services import hints

    before, hints._broker_quiet_until = hints._broker_quiet_until, math.inf
    yield
    hints._broker_quiet_until = before


@pytest.fixture
def campaign(orm: None) -> Iterator[Callable[..., Campaign]]:
    """Makes campaigns whose refits and retrainings the test does itself: the stack's worker is kept away."""
    from django.conf import settings

    debounce, settings.REFIT_DEBOUNCE_SECONDS = settings.REFIT_DEBOUNCE_SECONDS, 0.0
    with ExitStack() as stack:

        def make(**arguments: Any) -> Campaign:
            tasks = arguments.pop("tasks", 0)
            made = Campaign(**arguments)
            stack.enter_context(made.alone())
            if tasks:
                made.upload([{"data": {"n": n}} for n in range(tasks)])
            return made

        yield make
    settings.REFIT_DEBOUNCE_SECONDS = debounce


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch, stack: Stack) -> Iterator[Backend]:
    from django.conf import settings

    monkeypatch.setattr(settings, "REMOTE_LEARNER_HOSTS", ["127.0.0.1"])
    monkeypatch.setattr(settings, "PUBLIC_URL", stack.url)
    monkeypatch.setattr(settings, "SECRET_KEY", stack.environment()["CROWD_SECRET_KEY"])
    from aggregation.remote import client

    monkeypatch.setattr(client, "BACK_OFF", (0.01,))
    with ml_backend() as made:
        yield made


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Somebody's server that webhooks are posted to, on this machine."""
    from django.conf import settings

    monkeypatch.setattr(settings, "WEBHOOK_HOSTS", ["127.0.0.1"])
    with receiver() as made:
        yield made
