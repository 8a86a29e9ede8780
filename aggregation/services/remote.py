"""A project's remote learner: where it is, how it is asked, and that it is left alone while it fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
from django.conf import settings
from django.utils import timezone
from numpy.typing import NDArray

from aggregation.models import RemoteLearner
from aggregation.remote.client import Backend, Remote, RemoteFailed
from aggregation.remote.contract import backend_mark, call_back_token, label_config
from projects.models import Project

#: Ids, votes and data of a chunk of tasks to predictions f8[n, K], NaN where there is none.
Predict = Callable[[NDArray[np.int64], NDArray[np.int64], list[dict[str, Any]]], NDArray[np.float64]]

#: After a failure it is left alone for so long, twice as long after each further one in a row, up to an hour.
FIRST_REST, LONGEST_REST = 30.0, 3600.0
#: Seconds that it has for one retraining, for others wait: a million tasks at 1.4 s for each hundred of them.
LONGEST_RUN = 4 * 3600.0


def set_remote_learner(*, project: Project, url: str, username: str, password: str | None) -> RemoteLearner:
    """Another address, and a clean slate. password: None keeps the one that is stored, for the same address only."""
    before = RemoteLearner.objects.filter(project=project).first()
    if password is None:
        password = before.password if before is not None and before.url == url else ""
    changes = {"url": url, "username": username, "password": password}
    cleared: dict[str, Any] = {"failures": 0, "rests_until": None, "last_error": ""}
    if before is None or before.url != url:
        cleared["answered_at"] = None
    return RemoteLearner.objects.update_or_create(project=project, defaults=changes | cleared)[0]


def remote_predictor(project: Project, still: Callable[[], None], taught: Callable[[str], None]) -> Predict:
    """Asks the backend to train on consensus from votes, and then for predictions of tasks that nobody has voted on.

    still: called while it trains and predicts, may raise; taught: called with its version then. Raises RemoteFailed,
    at once while it rests.
    """
    stored = RemoteLearner.objects.filter(project=project).first()
    if stored is None:
        raise RemoteFailed("the remote learner has no address: PUT it at /api/projects/{id}/remote-learner")
    if stored.rests_until is not None and stored.rests_until > timezone.now():
        until = f"{stored.rests_until:%Y-%m-%d %H:%M:%S} UTC"
        raise RemoteFailed(f"left alone until {until} after {stored.failures} failures; the last: {stored.last_error}")
    remote = _remote(project, stored)
    mark = backend_mark(stored.url, stored.username, stored.password)
    hostname, token = f"{settings.PUBLIC_URL}/learner", call_back_token(project.id, mark)
    taught(watched(stored, lambda: remote.train(hostname=hostname, token=token, still=still)))

    def predict(
        ids: NDArray[np.int64], votes: NDArray[np.int64], payloads: list[dict[str, Any]]
    ) -> NDArray[np.float64]:
        proba = np.full((len(ids), remote.n_labels), np.nan)
        unvoted = np.flatnonzero(votes == 0)
        tasks = [(int(ids[row]), payloads[row]) for row in unvoted]
        proba[unvoted] = watched(stored, lambda: remote.predict(tasks, still=still))
        return proba

    return predict


def watched(stored: RemoteLearner, ask: Callable[[], Any]) -> Any:
    """What is answered; a failure is noted, and the backend rests.

    Raises RemoteFailed also where the project has another backend by now: it is for the next retraining to ask it, and
    it has failed nothing.
    """
    same = {"url": stored.url, "username": stored.username, "password": stored.password}
    mine = RemoteLearner.objects.filter(project_id=stored.project_id, **same)
    try:
        answer = ask()
    except RemoteFailed as error:
        failures = stored.failures + 1
        rest = timedelta(seconds=min(FIRST_REST * 2.0 ** min(failures - 1, 10), LONGEST_REST))
        mine.update(failures=failures, rests_until=timezone.now() + rest, last_error=str(error)[:1000])
        raise
    if not mine.update(failures=0, rests_until=None, last_error="", answered_at=timezone.now()):
        raise RemoteFailed(f"{stored.url} was given another address or password meanwhile: retrain to ask the new one")
    stored.failures = 0
    return answer


def _remote(project: Project, stored: RemoteLearner) -> Remote:
    backend = Backend(stored.url, stored.username, stored.password, settings.REMOTE_LEARNER_HOSTS)
    config = label_config(project.labels, project.learner_fields[0])
    until = time.monotonic() + LONGEST_RUN
    return Remote(backend, project.id, int(project.created_at.timestamp()), project.labels, config, until)
