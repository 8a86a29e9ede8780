"""Somebody's server that webhooks are posted to: it keeps what arrives, and answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return list(json.loads(self.body)["data"]["results"])


@dataclass
class Receiver:
    """``answers``: what is done before each answer, and its status."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    answers: Callable[[Received], int] = lambda _: 204

    @property
    def labels(self) -> dict[str, str | None]:
        """Each task's label by key, as somebody has it who follows the messages."""
        return {row["key"]: row["label"] for message in self.received for row in message.rows}


@contextmanager
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            message = Received({name.lower(): value for name, value in self.headers.items()}, body)
            made.received.append(message)
            status = made.answers(message)
            try:
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", f"{made.url}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:
                """Whoever asked is dead."""

        def log_message(self, format: str, *arguments: Any) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}/crowd?from=tests"
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
