"""A Label Studio ML backend: health, setup, predict and training over its HTTP contract."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aggregation.remote.answers import BadAnswer, proba_of
from aggregation.remote.guard import Guard
from aggregation.remote.http import Answer, NoAnswer, ask

#: Seconds that each request may take, as Label Studio has them.
SECONDS = {"/health": 1.0, "/setup": 3.0, "/predict": 100.0, "/webhook": 30.0}
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
    """One project's backend. label_config: as Label Studio has it (`contract.label_config`)."""

    backend: Backend
    project: int
    labels: Sequence[str]
    label_config: str

    @property
    def n_labels(self) -> int:
        return len(self.labels)

    def health(self) -> None:
        self._ask("GET", "/health")

    def setup(self, *, hostname: str, token: str) -> str:
        """The backend's model version. token: for its call-backs to hostname."""
        body = {
            "project": f"{self.project}.{int(time.time())}",
            "schema": self.label_config,
            "hostname": hostname,
            "access_token": token,
            "extra_params": None,
        }
        answer = self._ask("POST", "/setup", body)
        return str(answer.get("model_version", "")) if isinstance(answer, dict) else ""

    def start_training(self) -> None:
        project = {"id": self.project, "label_config": self.label_config}
        self._ask("POST", "/webhook", {"action": "START_TRAINING", "project": project})

    def predict(self, tasks: Sequence[tuple[int, Mapping[str, Any]]]) -> NDArray[np.float64]:
        """Predictions f8[n, K] of tasks (id and data), NaN where the backend says nothing. Raises RemoteFailed."""
        rows = np.empty((len(tasks), self.n_labels))
        for first in range(0, len(tasks), BATCH):
            batch = tasks[first : first + BATCH]
            body = {
                "tasks": [{"id": id_, "data": data} for id_, data in batch],
                "project": str(self.project),
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
                why = f"answered {answer.status}: {answer.content[:200].decode(errors='replace')}"
                passing = answer.status in PASSING
            except NoAnswer as error:
                why, passing = str(error), error.passing
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
            seconds=SECONDS[path],
            largest=LARGEST,
            guard=Guard(self.backend.allowed),
        )

    def _json(self, method: str, path: str, content: bytes) -> Any:
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise RemoteFailed(f"{method} {path} of {self.backend.url}: the answer is not JSON") from None
