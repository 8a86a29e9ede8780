"""The process of the annotators, seen from `server.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from benchmarks.server_campaign import Campaign


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
