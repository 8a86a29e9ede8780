"""What a manager reads over HTTP: how far the service has come, and what came of it."""

from __future__ import annotations

import json
from typing import Any

from crowd.demo.client import Client, wait_for

SECONDS_FOR_A_JOB = 120.0


def statistics(manager: Client, project: int) -> dict[str, Any]:
    found: dict[str, Any] = manager.ok("GET", f"/api/projects/{project}/statistics")
    return found


def wait_for_consensus(manager: Client, project: int) -> dict[str, Any]:
    """The statistics as soon as a refit has published everything there is to know."""

    def settled() -> dict[str, Any] | None:
        found = statistics(manager, project)
        return found if found["run"] is not None and not found["refit_pending"] else None

    found: dict[str, Any] = wait_for(settled, SECONDS_FOR_A_JOB, "a refit of all votes")
    return found


def wait_for_retraining(manager: Client, project: int, votes: int) -> None:
    """Until the learner has been retrained on at least so many votes."""
    wait_for(lambda: votes_learned(manager, project) >= votes, SECONDS_FOR_A_JOB, f"a retraining on {votes} votes")


def votes_learned(manager: Client, project: int) -> int:
    """The votes that the last finished retraining has seen."""
    runs = manager.ok("GET", f"/api/projects/{project}/runs", params={"limit": 20})["results"]
    seen = [run["counts"]["votes"] for run in runs if run["kind"] == "retraining" and run["status"] == "done"]
    return max(seen, default=0)


def published(manager: Client, project: int, source: str | None = None) -> dict[str, str]:
    """The published label of every task that has one (from this source alone), by key, from the export."""
    export = manager.get(f"/api/projects/{project}/consensus.jsonl")
    export.raise_for_status()
    rows = map(json.loads, export.text.splitlines())
    return {row["key"]: row["label"] for row in rows if source in (None, row["source"])}


def predicted(manager: Client, project: int) -> dict[str, str]:
    """The learner's own answer to every task, by key."""
    return {row["key"]: row["label"] for row in manager.pages(f"/api/projects/{project}/predictions")}


def tasks(manager: Client, project: int) -> list[dict[str, Any]]:
    return list(manager.pages(f"/api/projects/{project}/tasks"))


def overfilled(rows: list[dict[str, Any]]) -> int:
    """Tasks with more votes and open leases than their redundancy: there must be none."""
    return sum(row["votes"] + row["open_leases"] > row["redundancy"] for row in rows)


def accuracy(labels: dict[str, str], truth: dict[str, str]) -> float:
    """Share of the true labels that were found; one that is missing was not."""
    return sum(labels.get(key) == label for key, label in truth.items()) / len(truth)
