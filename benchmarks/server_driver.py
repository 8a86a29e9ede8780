"""The process of the annotators, seen from `server.py`, and what the parts of the stack use of the processor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from benchmarks.server_campaign import Campaign
from crowd.supervisor.reaper import descendants
from crowd.supervisor.stack import RunningStack


class Driver:
    """Drives a campaign's annotators, slice by slice."""

    def __init__(self, url: str, campaign: Campaign, mode: str) -> None:
        place = urlsplit(url)
        wanted = {"host": place.hostname, "port": place.port, "project": campaign.project, "mode": mode}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.server_client"],
            cwd=Path(__file__).resolve().parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._tell(wanted | {"tokens": campaign.tokens, "labels": campaign.labels})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def drive(self, seconds: float) -> dict[str, Any]:
        """One slice; what became of it (`server_client.drive`)."""
        self._tell(seconds)
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the annotators' process ended early")
        done: dict[str, Any] = json.loads(line)
        return done

    def _tell(self, message: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()


def cpu_seconds(stack: RunningStack) -> dict[str, float]:
    """Of each part of the stack so far: its processes, and those of them that have ended."""
    pids = stack.pids()
    parts = {part: [pid, *descendants(pid)] for part, pid in pids.items() if part != "supervisor"}
    return {part: sum(map(_used, processes)) for part, processes in parts.items()}


def _used(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:  # it has just ended
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def server_threads(stack: RunningStack) -> str:
    """How many processes and threads the web server was told to use."""
    command = Path(f"/proc/{stack.pids()['web']}/cmdline").read_text().split("\0")
    told = {name: command[command.index(name) + 1] for name in ("--workers", "--blocking-threads")}
    return "{--workers} web processes of {--blocking-threads} threads".format_map(told)
