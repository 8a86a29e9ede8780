"""What a manager sees of a target accuracy, and an expert of its audits, in a real browser."""

from __future__ import annotations

import json

from playwright.sync_api import expect

from tests.api.support import Database
from tests.browser.conftest import Person
from tests.support.client import Client, create_project, upload
from tests.support.stack import Stack

CURVE = [
    {"votes": 3000 + 100 * n, "accuracy": 0.90 + 0.004 * n, "low": 0.88 + 0.003 * n, "high": 0.92 + 0.004 * n}
    for n in range(16)
]
FIGURES = {
    "tasks": 1000,
    "votes": 3000,
    "known": 60,
    "unlabelled": 0,
    "machine": 0,
    "accuracy": {"expected": 0.9, "low": 0.87, "high": 0.93},
    "certified": 0.853,
    "audits": {"asked": True, "answered": 60, "right": 57, "waiting": 12, "left": 90}
    | {"needed": 70, "least": 40, "most": None},
    "aim": None,
    "needed": None,
    "ends": False,
    "full": {"votes": 1500, "accuracy": 0.96, "low": 0.93, "high": 0.97},
    "budget": None,
    "points": [{"votes": 1000, "accuracy": 0.8}, {"votes": 2000, "accuracy": 0.87}, {"votes": 3000, "accuracy": 0.9}],
    "curve": CURVE,
    "says": "About 90.0% of all labels are right now (87.0% to 93.0%).",
}  # fmt: skip


def test_the_page_shows_how_far_the_target_is_and_that_it_is_reached(
    manager: Person, api: Client, stack: Stack
) -> None:
    project = create_project(api, name="Certified pets", target_accuracy=0.9)
    upload(api, project, [{"data": {"text": "It purrs"}}])
    (task,) = (each["id"] for each in api.pages(f"/api/projects/{project}/tasks"))
    db = Database(stack.environment()["DATABASE_URL"])
    # As a look would have left it, with nothing due.
    db.rows(
        "INSERT INTO aggregation_outlook (project_id, figures, seen_run, seen_version, seen_task, rests_until)"
        " VALUES (%s, %s, 1000000000, 1, 1000000000, now() + interval '1 hour')"
        " ON CONFLICT (project_id) DO UPDATE SET figures = EXCLUDED.figures, rests_until = EXCLUDED.rests_until",
        project,
        json.dumps(FIGURES),
    )
    db.rows(
        'INSERT INTO projects_labelaudit (project_id, task_id, "freeze", number, label, probability, open)'
        " VALUES (%s, %s, 0, 0, 0, 0.1, true)",
        project,
        task,
    )

    manager.page.goto(f"/projects/{project}/")

    panel = manager.page.get_by_label("Target", exact=True)
    expect(panel).to_contain_text("≥ 85.3 %")
    expect(panel).to_contain_text("57 right, 12 wait for an expert; 90 more allowed")
    expect(panel).to_contain_text("40 to out of reach")
    expect(panel.locator("canvas")).to_be_visible()
    db.rows("UPDATE projects_project SET stopped_at = now() WHERE id = %s", project)
    manager.sees("nobody gets a task. To go on, raise it under Settings.")
    manager.page.set_viewport_size({"width": 390, "height": 844})
    assert not manager.page.evaluate("document.documentElement.scrollWidth > innerWidth")

    manager.page.goto(f"/projects/{project}/review/")
    manager.sees("Drawn at random, to prove how right the labels are")
    expect(manager.page.get_by_label("Votes", exact=True)).to_have_count(0)
    manager.page.keyboard.press("1")
    manager.sees("Decided:")
    assert db.one("SELECT origin FROM projects_gold WHERE task_id = %s", task) == "audit"
    db.connection.close()
