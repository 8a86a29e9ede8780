"""The learner on the manager's page: its curve, its runs, and an earlier one brought back."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Locator, expect

from tests.api.support import CSV
from tests.browser.conftest import Person
from tests.support.client import Client, create_project, upload, wait_for


def retrained(api: Client, project: int, times: int) -> list[dict[str, Any]]:
    api.ok("POST", f"/api/projects/{project}/retrain")

    def ended() -> list[dict[str, Any]]:
        runs = [run for run in api.pages(f"/api/projects/{project}/runs") if run["kind"] == "retraining"]
        return runs if len(runs) == times and runs[0]["status"] == "done" else []

    return wait_for(ended, seconds=240, what=f"retraining {times}")


def test_a_manager_sees_what_votes_buy_and_brings_an_earlier_learner_back(manager: Person, api: Client) -> None:
    project = create_project(
        api, name="Learning", learner="numeric", learner_fields=["n"], retrain_after_votes=1_000_000
    )
    upload(api, project, [{"key": str(n), "data": {"n": n}} for n in range(120)])
    votes = "task,worker,label\n" + "".join(f"{n},Ada,{'cat' if n < 60 else 'dog'}\n" for n in range(120))
    api.ok("POST", f"/api/projects/{project}/votes/import", content=votes.encode(), headers=CSV)
    retrained(api, project, 1)
    newest, first = retrained(api, project, 2)
    manager.page.set_viewport_size({"width": 390, "height": 844})
    manager.page.goto(f"/projects/{project}/")

    manager.sees("What more votes will teach it")
    manager.sees(re.compile("points|Stop labelling"))
    runs = manager.page.get_by_role("region", name="Runs").locator("tr")

    def row(run: dict[str, Any]) -> Locator:
        number = manager.page.locator("td:first-child span", has_text=re.compile(rf"^{run['id']}$"))
        return runs.filter(has=number)

    expect(row(newest)).not_to_contain_text("Bring back")
    assert not manager.page.evaluate("document.documentElement.scrollWidth > innerWidth")
    manager.page.set_viewport_size({"width": 1280, "height": 900})
    row(first).get_by_role("button").click()

    manager.sees(f"brought back from run {first['id']}")
    learner = api.ok("GET", f"/api/projects/{project}/statistics")["learner"]
    assert learner["run"] > newest["id"]
