"""A campaign whose learner is somebody else's server: numbers below half are cats; Ada has voted on every fourth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aggregation.models import Run
from aggregation.services.remote import set_remote_learner
from projects.services.projects import request_retraining
from tests.services.campaign import Campaign
from tests.support.ml_backend import Backend

Make = Callable[..., Campaign]


def project(campaign: Make, backend: Backend, tasks: int = 40, gold: str | None = None, **more: Any) -> Campaign:
    """gold: what is known of the first task."""
    c = campaign(annotators=1, learner="remote", learner_fields=["n"], retrain_after_votes=1_000_000, **more)
    known = [{"gold": gold} if gold and n == 0 else {} for n in range(tasks)]
    c.upload([{"key": str(n), "data": {"n": n}} | known[n] for n in range(tasks)])
    vote(c, range(0, tasks, 4), tasks)
    set_remote_learner(project=c.project, url=backend.url, username="", password=None)
    return c


def vote(c: Campaign, numbers: Any, tasks: int = 40) -> None:
    c.import_votes([(str(n), "Ada", "cat" if n < tasks / 2 else "dog") for n in numbers])
    c.refit()


def train(c: Campaign) -> Run:
    request_retraining(project_id=c.id)
    run = c.retrain()
    assert run is not None and run.status == "done", run and run.error
    return run
