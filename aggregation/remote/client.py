"""A Label Studio ML backend: health, setup, predict and training over its HTTP contract."""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aggregation.remote.answers import BadAnswer, proba_of
from aggregation.remote.guard import Guard
from aggregation.remote.http import Answer, NoAnswer, ask

#: Seconds that each request may take, as Label Studio has them; but most backends train before they answer.
SECONDS = {"/health": 1.0, "/setup": 3.0, "/predict": 100.0, "/webhook": 600.0}
#: Seconds that a backend may train for that answers before, and between two looks.
TRAINS, LOOKS = 600.0, 1.0
#: Tasks in one request, and the largest answer that is read.
BATCH, LARGEST = 100, 32 * 1024 * 1024
#: Seconds to wait before a request that failed for want of a server is tried again.
BACK_OFF = (0.5, 2.0)
PASSING = frozenset({502, 503, 504})


class RemoteFailed(Exception):
    """The remote learner can't be asked, or what it answers is of no use; says which request and why."""


@dataclass(frozen=True)
class Backend:
    """Where it is, and who may ask it. ``password`` never leaves this process but to the backend."""

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    allowed: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Remote:
    """One project's backend. created: when the project was, in Unix seconds: a part of its name there.
    label_config: as Label Studio has it (`contract.label_config`). until: when it is asked nothing more, by the
    monotonic clock."""

    backend: Backend
    project: int
    created: int
    labels: Sequence[str]
    label_config: str
    until: float = math.inf

    @property
    def n_labels(self) -> int:
        return len(self.labels)

    def train(self, *, hostname: str, token: str, still: Callable[[], None]) -> str:
        """Have it taught; the version of its model. token: for its call-backs to hostname. still: called while it
        trains, may raise. Raises RemoteFailed.

        Backends of the SDK's version 1 know themselves by their health. They are taught by another event than later
        ones, go on with it after they have answered, and take up what they have learnt when they are set up again.
        """
        health = self._ask("GET", "/health")
        first = isinstance(health, dict) and "v2" in health
        self._setup(hostname, token)
        project = {"id": self.project, "label_config": self.label_config}
        event = {"action": "PROJECT_UPDATED" if first else "START_TRAINING", "project": project}
        # Backends made after the samples look for the project here, too.
        answer = self._ask("POST", "/webhook", event | {"annotation": {"project": self.project}})
        said = answer if isinstance(answer, dict) else {}
        if said.get("status") not in (None, "ok"):
            raise RemoteFailed(f"POST /webhook of {self.backend.url}: {_text(said.get('error') or said['status'])}")
        job = said.get("job_id")
        return self._setup(hostname, token) if job is None else self._await(_text(job), hostname, token, still)

    def _await(self, job: str, hostname: str, token: str, still: Callable[[], None]) -> str:
        end = time.monotonic() + TRAINS
        while not _includes(version := self._setup(hostname, token), job):
            if time.monotonic() > end:
                raise RemoteFailed(f"{self.backend.url} has left no model within {TRAINS:.0f} s of its training {job}")
            still()
            time.sleep(LOOKS)
        return version

    def _setup(self, hostname: str, token: str) -> str:
        body = {
            "project": self._name,
            "schema": self.label_config,
            "hostname": hostname,
            "access_token": token,
            "extra_params": None,
        }
        answer = self._ask("POST", "/setup", body)
        return _text(answer.get("model_version", "")) if isinstance(answer, dict) else ""

    @property
    def _name(self) -> str:
        return f"{self.project}.{self.created}"

    def predict(
        self, tasks: Sequence[tuple[int, Mapping[str, Any]]], *, still: Callable[[], None] = lambda: None
    ) -> NDArray[np.float64]:
        """Predictions f8[n, K] of tasks (id and data), NaN where the backend says nothing. still: called before each
        request, may raise. Raises RemoteFailed."""
        rows = np.empty((len(tasks), self.n_labels))
        for first in range(0, len(tasks), BATCH):
            still()
            batch = tasks[first : first + BATCH]
            body = {
                "tasks": [{"id": id_, "data": data} for id_, data in batch],
                "project": self._name,
                "label_config": self.label_config,
                "params": {},
            }
            answer = self._ask("POST", "/predict", body)
            try:
                rows[first : first + len(batch)] = proba_of(answer, [id_ for id_, _ in batch], self.labels)
            except BadAnswer as error:
                raise RemoteFailed(f"POST /predict of {self.backend.url}: {error}") from None
        return rows

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        for pause in (*BACK_OFF, None):
            try:
                answer = self._once(method, path, body)
                if answer.status < 300 and answer.complete:
                    return self._json(method, path, answer.content)
                if answer.status < 300:
                    raise RemoteFailed(f"{method} {path} of {self.backend.url}: more than {LARGEST >> 20} MB")
                said = _detail(answer.content)
                why = f"answered {answer.status}: {said}" if said else f"answered {answer.status}"
                passing = answer.status in PASSING
            except NoAnswer as error:
                why, passing = str(error), error.passing
            if time.monotonic() >= self.until:
                why, passing = "the time is over that it has for one retraining", False
            if pause is None or not passing:
                break
            time.sleep(pause)
        raise RemoteFailed(f"{method} {path} of {self.backend.url}: {why}")

    def _once(self, method: str, path: str, body: Any) -> Answer:
        headers = {"Content-Type": "application/json"}
        if self.backend.username:
            pair = f"{self.backend.username}:{self.backend.password}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        return ask(
            method,
            self.backend.url.rstrip("/") + path,
            headers=headers,
            content=b"" if body is None else json.dumps(body).encode(),
            seconds=min(SECONDS[path], max(self.until - time.monotonic(), 0.001)),
            largest=LARGEST,
            guard=Guard(self.backend.allowed),
        )

    def _json(self, method: str, path: str, content: bytes) -> Any:
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise RemoteFailed(f"{method} {path} of {self.backend.url}: the answer is not JSON") from None


def _includes(version: str, job: str) -> bool:
    """Whether a model's version is that of a training, or of a later one: they are named by the clock."""
    return version == job or (version.isdecimal() and job.isdecimal() and int(version) >= int(job))


def _detail(content: bytes) -> str:
    """What an error says, without the traceback that a backend may add."""
    try:
        said = json.loads(content)["detail"]
    except (ValueError, RecursionError, KeyError, TypeError):
        said = content[:200].decode(errors="replace")
    return _text(said)


def _text(said: Any) -> str:
    """The beginning of what a backend says, as a text that can be stored: without NUL and halves of characters."""
    return str(said)[:200].replace("\0", "").encode(errors="replace").decode()
