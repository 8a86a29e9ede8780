"""A Label Studio ML backend: its HTTP contract on a real socket, with a small learner of its own, and ways to fail."""

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
    """Answers what it was taught for tasks below and above the mean ``n`` of each label. ``odd``: how it answers."""

    def __init__(self) -> None:
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
            return 200, {"status": "UP", "model_class": "Nearest"}
        if path == "/setup":
            self.setup = body
            return 200, {"model_version": "1"}
        if path == "/webhook":
            if body["action"] != "START_TRAINING":
                return 200, {"status": "Unknown event"}
            self._train(body["project"]["id"])
            return 201, {"result": {}, "status": "ok"}
        if path == "/predict":
            return self._predict(body["tasks"])
        return 404, {"detail": "not found"}

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
                    seen.setdefault(label, []).append(float(task["data"]["n"]))
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
        if self.odd == "500 in the middle" and self.predicted > 100:
            return 500, {"detail": "CUDA out of memory"}
        if self.odd == "slow":
            time.sleep(3)
        results = [self._result(task) for task in tasks]
        if self.odd == "too few":
            results.pop()
        return 200, {"results": results}

    def _result(self, task: dict[str, Any]) -> dict[str, Any]:
        n = float(task["data"]["n"])
        label = min(self.means, key=lambda each: abs(self.means[each] - n)) if self.means else "cat"
        value: dict[str, Any] = {"choices": ["tiger" if self.odd == "unknown label" else label]}
        if self.odd == "probs":
            value["probs"] = {label: 0.7, "dog" if label == "cat" else "cat": 0.3}
        score = float("nan") if self.odd == "nan" else 0.9
        region = {"id": "1", "from_name": "label", "to_name": "task", "type": "choices", "value": value}
        return {"result": [region], "score": score, "model_version": "1"}


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
