"""Services in this process, on the stack's database."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.services.campaign import Campaign


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
