"""A Label Studio ML backend: its HTTP contract on a real socket, with a small learner of its own, and ways to fail.

Routes, statuses and payloads are those of label-studio-ml: version 1.0.9, the newest on the package registry, as a
backend made with it answered them on Python 3.11; version 2 as its published source has them. The package itself is no
dependency of the tests: it pins Flask 1.1.2 and `attr` 0.3.1, which overlays `attrs`.
"""

from __future__ import annotations

import base64
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Backend:
    """Answers what it was taught for tasks below and above the mean ``n`` of each label. ``odd``: how it answers.

    ``sdk`` 2 trains before it answers. 1 is taught by PROJECT_UPDATED, trains after it has answered, for as many
    further set-ups as ``trains`` says, and has learnt nothing before it is set up again.
    """

    def __init__(self) -> None:
        self.sdk, self.trains = 2, 2
        self.learnt: dict[str, float] | None = None
        self.version: Any = "INITIAL"
        self.requests: list[tuple[str, Any]] = []
        self.means: dict[str, float] = {}
        self.setup: dict[str, Any] = {}
        self.called_back: list[tuple[str, int]] = []
        self.odd = ""
        self.predicted = 0
        self.password: str | None = None
        self.url = ""

    def answer(self, path: str, body: Any) -> tuple[int, Any]:
        self.requests.append((path, body))
        if path == "/health":
            version = {"model_class": "Nearest"} if self.sdk == 2 else {"model_dir": "/models", "v2": False}
            return 200, {"status": "UP", **version}
        if path == "/setup":
            self.setup = body
            if self.odd == "no texts":
                return 200, {"model_version": "v\0\ud800" + 1000 * "1"}
            return 200, {"model_version": "0.0.1" if self.sdk == 2 else self._taken_up()}
        if path == "/webhook":
            return self._webhook(body)
        if path == "/predict" and not self.setup and self.sdk == 1:
            why = "ValueError: Model is not loaded for type: run setup() before using predict()"
            return 500, {"detail": why, "request": {}, "result": {"traceback": "Traceback …"}, "status": 500}
        if path == "/predict":
            return self._predict(body["tasks"])
        return 404, {"detail": "not found"}

    def _webhook(self, body: Any) -> tuple[int, Any]:
        project = body["project"]["id"]
        if self.sdk == 1:
            if body["action"] in ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATION_DELETED", "PROJECT_UPDATED"):
                self._train(project)
                self.learnt, self.means = self.means, {}
            return 201, {"job_id": "1795380549"}
        if body["action"] not in ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATION_DELETED", "START_TRAINING"):
            return 200, {"status": "Unknown event"}
        self._train(body["annotation"]["project"])  # where the samples look for it
        return 201, {"result": None, "status": "ok"}

    def _taken_up(self) -> Any:
        """The version that a set-up answers: a number once something has been learnt."""
        if self.learnt is not None:
            self.trains -= 1
            if self.trains < 0:
                self.means, self.learnt, self.version = self.learnt, None, 1795380549
        return self.version

    def _train(self, project: int) -> None:
        """As the sample backends do: by calling back, page after page until there is none."""
        self._call_back(f"/api/projects/{project}")
        seen: dict[str, list[float]] = {}
        for page in range(1, 100):
            tasks = self._call_back(f"/api/tasks?project={project}&page={page}&page_size=7&fields=all")
            if tasks is None:
                break
            for task in tasks["tasks"]:
                for annotation in task["annotations"]:
                    label = annotation["result"][0]["value"]["choices"][0]
                    seen.setdefault(label, []).append(_number(task))
        self.means = {label: sum(values) / len(values) for label, values in seen.items()}

    def _call_back(self, path: str) -> Any:
        request = urllib.request.Request(self.setup["hostname"] + path)
        request.add_header("Authorization", f"Token {self.setup['access_token']}")
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                self.called_back.append((path, response.status))
                return json.load(response)
        except urllib.error.HTTPError as error:
            self.called_back.append((path, error.code))
            return None

    def _predict(self, tasks: list[dict[str, Any]]) -> tuple[int, Any]:
        self.predicted += len(tasks)
        if self.odd == "restarting once":
            self.odd = ""
            return 503, {"detail": "starting"}
        if self.odd == "500 in the middle" and self.predicted > 100:
            return 500, {"detail": "CUDA out of memory"}
        if self.odd == "no texts":
            return 500, {"detail": "half\0 a \ud800"}
        if self.odd == "slow":
            time.sleep(3)
        results = [self._result(task) for task in tasks]
        if self.odd == "too few":
            results.pop()
        return 200, {"results": results} | ({"model_version": self.version} if self.sdk == 1 else {})

    def _result(self, task: dict[str, Any]) -> dict[str, Any]:
        n = _number(task)
        label = min(self.means, key=lambda each: abs(self.means[each] - n)) if self.means else "cat"
        value: dict[str, Any] = {"choices": ["tiger" if self.odd == "unknown label" else label]}
        if self.odd == "probs":
            value["probs"] = {label: 0.7, "dog" if label == "cat" else "cat": 0.3}
        score = {"nan": float("nan"), "no score": 0.0, "huge": 10**400}.get(self.odd, 0.9)
        region = {"id": "1", "from_name": "label", "to_name": "task", "type": "choices", "value": value}
        return {"result": [region], "score": score, "model_version": "0.0.1"}


def _number(task: dict[str, Any]) -> float:
    return float(task["data"]["n"] or 0)


@contextmanager
def ml_backend() -> Iterator[Backend]:
    backend = Backend()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: Any) -> None:
            given = base64.b64encode(f"crowd:{backend.password}".encode()).decode()
            if backend.password is not None and self.headers["Authorization"] != f"Basic {given}":
                status, answer = 401, {"detail": "who are you?"}
            elif backend.odd == "redirects":
                self.send_response(302)
                self.send_header("Location", "http://127.0.0.1:1/")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            else:
                status, answer = backend.answer(self.path, body)
            content = b"<html>" if backend.odd == "no json" else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    backend.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield backend
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
