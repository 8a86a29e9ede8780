"""What a retraining of a large pool costs: seconds of each stage, memory, and what people who vote meanwhile feel.

    uv run benchmarks/retrain.py [--tasks 200000] [--taught 10000] [--clients 4] [--seconds 20] [--json FILE]

Starts everything that `manage.py up` starts, in a throw-away folder; uploads short texts, simulated (words by Zipf's
law, some of them typical of a label), and one recorded vote on each of those taught; lets annotators vote over HTTP,
first in quiet and then while a retraining trains, predicts every task and re-prioritises it; and retrains once more
while nobody votes. voting_ratio: p99 of a vote that brings the next lease along, during the retraining to before it.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.server import WARM_UP_SECONDS, percentiles, say
from benchmarks.server_campaign import SETTLED, Campaign
from benchmarks.server_driver import Driver
from crowd.demo.client import Client, join_by_link, sign_in_by_link
from crowd.supervisor.reaper import descendants
from crowd.supervisor.stack import RunningStack, running_stack

LABELS = [f"label {k}" for k in range(4)]
VOCABULARY, TYPICAL, WORDS = 20_000, 200, 12
#: How many of a text's words are typical of its label.
TYPICAL_WORDS = 2
#: Seconds of voting between two looks at whether the retraining is over.
SLICE = 2.0
POLL = 0.1
RUN = """
SELECT status, stage, error, counts FROM aggregation_run
WHERE project_id = %s AND kind = 'retraining' AND id > %s ORDER BY id DESC LIMIT 1
"""
LAST_RUN = "SELECT coalesce(max(id), 0) FROM aggregation_run"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=200_000)
    parser.add_argument("--taught", type=int, default=10_000, help="tasks with a vote")
    parser.add_argument("--clients", type=int, default=4, help="annotators at once")
    parser.add_argument("--seconds", type=float, default=20, help="of voting before the retraining")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    wanted = parser.parse_args()
    with running_stack() as stack:
        figures = measure(stack, wanted)
    print(table(figures))
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=2) + "\n")


@dataclass
class Texts(Campaign):
    """A project of short texts, the first of which have a recorded vote."""

    def upload_tasks(self) -> None:
        random = np.random.default_rng(0)
        shares = 1.0 / np.arange(1, VOCABULARY + 1)
        drawn = np.searchsorted(np.cumsum(shares / shares.sum()), random.random((self.tasks, WORDS)))
        typical = random.integers(TYPICAL, size=(self.tasks, TYPICAL_WORDS))
        label = np.arange(self.tasks)[:, None] % len(LABELS)
        drawn[:, :TYPICAL_WORDS] = VOCABULARY + label * TYPICAL + typical
        lines = (
            f'{{"key": "{n}", "data": {{"number": {n}, "text": "{" ".join(f"w{word}" for word in row)}"}}}}\n'
            for n, row in enumerate(drawn.tolist())
        )
        self.upload_seconds = self._upload("tasks", "application/x-ndjson", "".join(lines).encode())

    def teach(self, taught: int) -> None:
        rows = (f"{n},recorded {n % 100},{LABELS[n % len(LABELS)]}\n" for n in range(taught))
        self._upload("votes/import", "text/csv", ("task,worker,label\n" + "".join(rows)).encode())


def measure(stack: RunningStack, wanted: argparse.Namespace) -> dict[str, Any]:
    url = json.loads((stack.home / "run" / "environment.json").read_text())["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection, sign_in_by_link(stack.link, name="benchmark") as manager:
        settings = {"labels": LABELS, "redundancy": 3, "learner": "text", "learner_fields": ["text"]}
        settings |= {"retrain_after_votes": 1_000_000, "retrain_after_minutes": 100_000}
        project = int(manager.ok("POST", "/api/projects", {"name": "Benchmark", **settings})["id"])
        campaign = Texts(manager, connection, project, wanted.tasks, LABELS)
        say(f"uploading {wanted.tasks:,} tasks …")
        campaign.upload_tasks()
        campaign.teach(wanted.taught)
        invited = manager.ok("POST", f"/api/projects/{project}/invites", {"role": "annotator"})
        with httpx.HTTPTransport() as transport:
            people = [join_by_link(invited["link"], f"annotator {n}", transport) for n in range(wanted.clients)]
        campaign.tokens = [str(person.token) for person in people]
        campaign.wait_until(SETTLED, "an end of refits")
        campaign.tidy()
        with Driver(stack.url, campaign, "combined") as driver:
            driver.drive(WARM_UP_SECONDS)
            say("voting in quiet …")
            quiet = votes_of(driver.drive(wanted.seconds))
            say("voting while the learner is retrained …")
            watch = retrained(manager, connection, project, url, stack.pids()["worker"])
            busy: list[float] = []
            while watch.goes_on():
                busy += votes_of(driver.drive(SLICE))
        say("retraining once more, alone …")
        campaign.wait_until(SETTLED, "an end of refits")
        again = retrained(manager, connection, project, url, stack.pids()["worker"])
        while again.goes_on():
            time.sleep(POLL)
        asked = {name: value for name, value in vars(wanted).items() if name != "json"}
        quiet_ms, busy_ms = percentiles(quiet), percentiles(busy)
        return {
            **asked,
            "stages": watch.seconds,
            "seconds": sum(watch.seconds.values()),
            "peak_mb": watch.peak_mb,
            "counts": watch.counts,
            "alone": {"stages": again.seconds, "seconds": sum(again.seconds.values()), "counts": again.counts},
            "votes_per_s": {"quiet": len(quiet) / wanted.seconds, "busy": len(busy) / sum(watch.seconds.values())},
            "voting_ms": {"quiet": quiet_ms, "busy": busy_ms},
            "voting_ratio": busy_ms["p99"] / quiet_ms["p99"],  # type: ignore[operator]  # none only without votes
        }


def retrained(manager: Client, connection: psycopg.Connection[Any], project: int, url: str, worker: int) -> Watch:
    """Ask for a retraining, and watch it."""
    before = connection.execute(LAST_RUN).fetchone()
    manager.ok("POST", f"/api/projects/{project}/retrain")
    return Watch(url, project, worker, before[0] if before else 0)


def votes_of(slice_: dict[str, Any]) -> list[float]:
    return [ms for person in slice_["people"] for ms in person["vote_ms"]]


class Watch(threading.Thread):
    """Looks at the run and at the worker's memory from beside, until the run has ended."""

    def __init__(self, url: str, project: int, worker: int, after: int) -> None:
        super().__init__(daemon=True)
        self.url, self.project, self.worker, self.after = url, project, worker, after
        self.seconds: dict[str, float] = {}
        self.counts: dict[str, int] = {}
        self.peak_mb = 0.0
        self.error = ""
        self.start()

    def run(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            status, before = "running", time.monotonic()
            while status == "running":
                time.sleep(POLL)
                row = connection.execute(RUN, [self.project, self.after]).fetchone()
                status, stage, self.error, self.counts = row or ("running", "waiting", "", {})
                now = time.monotonic()
                self.seconds[stage] = self.seconds.get(stage, 0.0) + now - before
                before = now
                resident = (resident_mb(pid) for pid in [self.worker, *descendants(self.worker)])
                self.peak_mb = max(self.peak_mb, *resident)

    def goes_on(self) -> bool:
        if not self.is_alive() and self.error:
            raise SystemExit(f"the retraining failed: {self.error}")
        return self.is_alive()


def resident_mb(pid: int) -> float:
    """The most that a process has held so far."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has just ended
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def in_stages(figures: dict[str, Any]) -> str:
    stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in figures["stages"].items())
    return f"{figures['seconds']:.1f} s ({stages})"


def table(figures: dict[str, Any]) -> str:
    ms = figures["voting_ms"]
    return (
        f"{figures['tasks']:,} tasks, {figures['taught']:,} taught: {in_stages(figures)}, "
        f"peak {figures['peak_mb']:.0f} MB\n"
        f"once more, while nobody votes: {in_stages(figures['alone'])}\n"
        f"a vote with the next lease, ms: quiet p50 {ms['quiet']['p50']:.1f} p99 {ms['quiet']['p99']:.1f}, "
        f"meanwhile p50 {ms['busy']['p50']:.1f} p99 {ms['busy']['p99']:.1f}: {figures['voting_ratio']:.1f} x"
    )


if __name__ == "__main__":
    main()
