"""The annotators of `server.py`: a process of its own, a thread and a kept connection for each.

Reads lines of JSON, answers lines of JSON: first whom to drive and how, then the seconds of each slice.
"""

from __future__ import annotations

import random
import re
import resource
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson

#: How often an annotator's label is the true one; else it is any.
RIGHT = 0.8
BATCH = 10
#: Seconds until somebody who is told so asks again.
PAUSES = {"retry": 0.0, "waiting": 0.05}
LAST_CHUNK = b"0\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class Connection:
    """Just enough HTTP/1.1: client and server share the cores, so that what it costs is missing there."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self.socket = socket.create_connection((host, port), timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.head = (
            f" HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        """The status and the JSON of the answer."""
        content = orjson.dumps(body)
        self.socket.sendall(b"POST %b%b%d\r\n\r\n%b" % (path.encode(), self.head, len(content), content))
        answer = self._more(b"")
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer = self._more(answer)
        body = end + 4
        if length := LENGTH.search(answer, 0, end + 2):
            while len(answer) < body + int(length[1]):
                answer = self._more(answer)
            return int(answer[9:12]), orjson.loads(answer[body:])
        while not answer.endswith(LAST_CHUNK, body):
            answer = self._more(answer)
        return int(answer[9:12]), orjson.loads(b"".join(chunks(answer, body)))

    def _more(self, answer: bytes) -> bytes:
        if not (chunk := self.socket.recv(65536)):
            raise SystemExit("the server closed a connection that was to be kept")
        return answer + chunk


def chunks(answer: bytes, at: int) -> Iterator[bytes]:
    """The parts of a chunked body that begins there (RFC 9112, 7.1)."""
    while True:
        size, _, _ = answer[at : at + 20].partition(b"\r\n")
        if not (length := int(size, 16)):
            return
        at += len(size) + 2
        yield answer[at : at + length]
        at += length + 2


class Annotator:
    """One person at work; `work` is a slice of it."""

    def __init__(self, wanted: dict[str, Any], number: int) -> None:
        self.wanted, self.token = wanted, wanted["tokens"][number]
        self.random = random.Random(number)
        self.count = BATCH if wanted["mode"] == "batch" else 1
        self.path = f"/api/projects/{wanted['project']}"
        self.begin()

    def begin(self) -> None:
        self.lease_ms: list[float] = []
        self.vote_ms: list[float] = []
        self.acknowledged: list[tuple[str, str]] = []
        self.told: Counter[str] = Counter()
        self.refused: list[str] = []
        self.status = "ok"

    def work(self, seconds: float) -> None:
        """Lease and vote until the time is over, or nothing is left."""
        self.begin()
        self.connection = Connection(self.wanted["host"], self.wanted["port"], self.token)
        deadline = time.monotonic() + seconds
        leased: list[Any] = []
        while time.monotonic() < deadline:
            leased = leased or self.lease()
            if leased:
                leased = self.vote(leased)
            elif self.status in PAUSES:
                time.sleep(PAUSES[self.status])
            else:
                break
        self.connection.socket.close()

    def lease(self) -> list[Any]:
        return self.given(self.timed(self.lease_ms, f"{self.path}/assignments", {"count": self.count}))

    def vote(self, leased: list[Any]) -> list[Any]:
        """Vote on these; what is leased next, where that comes with the answer."""
        votes = [{"assignment": each["id"], "label": self.label(each["data"]), "seconds": 1.5} for each in leased]
        combined = self.wanted["mode"] in ("combined", "batch")
        answer = self.timed(
            self.vote_ms, f"{self.path}/votes{f'?next={self.count}' if combined else ''}", {"votes": votes}
        )
        for vote, result in zip(votes, answer.get("results", ()), strict=False):
            if result["status"] == "counted":
                self.acknowledged.append((vote["assignment"], vote["label"]))
        if not combined or "results" not in answer:
            return []
        if "assignments" not in answer:
            raise SystemExit("this server does not offer POST votes?next=k, which the modes combined and batch measure")
        return self.given(answer)

    def label(self, data: Any) -> str:
        labels = self.wanted["labels"]
        right = self.random.random() < RIGHT
        return str(labels[data["number"] % len(labels)] if right else self.random.choice(labels))

    def given(self, answer: Any) -> list[Any]:
        self.status = answer.get("status", "refused")
        self.told[self.status] += 1
        return list(answer.get("assignments", ()))

    def timed(self, into: list[float], path: str, body: Any) -> Any:
        began = time.perf_counter()
        status, answer = self.connection.post(path, body)
        into.append(1000 * (time.perf_counter() - began))
        if status != 200:
            self.refused.append(f"POST {path}: {status} {orjson.dumps(answer).decode()}")
        return answer


def drive(annotators: list[Annotator], seconds: float) -> dict[str, Any]:
    """A slice: all of them at once."""
    cpu, began = cpu_seconds(), time.monotonic()
    threads = [threading.Thread(target=guarded, args=(each, seconds)) for each in annotators]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told: Counter[str] = sum((each.told for each in annotators), Counter())
    return {
        "seconds": time.monotonic() - began,
        "cpu_seconds": cpu_seconds() - cpu,
        "told": told,
        "people": [
            {name: getattr(each, name) for name in ("lease_ms", "vote_ms", "acknowledged", "refused")}
            for each in annotators
        ],
    }


failures: list[str] = []


def guarded(annotator: Annotator, seconds: float) -> None:
    """A thread's exception would only be printed."""
    try:
        annotator.work(seconds)
    except (SystemExit, OSError) as failure:
        failures.append(str(failure) or repr(failure))


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    wanted = orjson.loads(sys.stdin.readline())
    annotators = [Annotator(wanted, number) for number in range(len(wanted["tokens"]))]
    for line in sys.stdin:
        done = drive(annotators, float(line))
        if failures:
            raise SystemExit(failures[0])
        print(orjson.dumps(done).decode(), flush=True)


if __name__ == "__main__":
    main()
