"""A small campaign over HTTP, the same for every way to run Crowd."""

from __future__ import annotations

from typing import Any

from tests.support.client import Client, create_project, join, lease, upload, vote, wait_for

TRUTH = {f"task-{number}": ("cat", "dog")[number % 2] for number in range(12)}


def play(manager: Client) -> list[dict[str, Any]]:
    """Three people label twelve tasks, one of them badly. Returns the consensus once a refit has published it."""
    project = create_project(manager, name="Pets", labels=["cat", "dog"], redundancy=3)
    upload(manager, project, [{"key": key, "data": {"text": f"a {label}"}} for key, label in TRUTH.items()])
    for name in ("Ada", "Ben", "Eve"):
        # Accounts are for the whole installation, and several campaigns may share one.
        with join(manager, project, f"{name}-{project}") as annotator:
            while assignments := lease(annotator, project, 5):
                for assignment in assignments:
                    seen = assignment["data"]["text"].removeprefix("a ")
                    answer = "cat" if name == "Eve" else seen
                    response = vote(annotator, project, assignment["id"], answer)
                    assert response.is_success, response.text

    def refitted() -> bool:
        runs = manager.ok("GET", f"/api/projects/{project}/runs")["results"]
        return any(run["kind"] == "refit" and run["finished_at"] and not run["error"] for run in runs)

    def published() -> list[dict[str, Any]]:
        rows = manager.ok("GET", f"/api/projects/{project}/consensus", params={"limit": 100})["results"]
        return rows if len(rows) == len(TRUTH) and all(row["run"] for row in rows) else []

    wait_for(refitted, 60, "a refit")
    consensus: list[dict[str, Any]] = wait_for(published, 60, "the consensus")
    assert {row["key"]: row["label"] for row in consensus} == TRUTH
    return consensus
