"""What a manager sees of the three tiers, in a real browser."""

from __future__ import annotations

import json

from tests.api.support import Database
from tests.browser.conftest import Person
from tests.support.client import Client, create_project, upload
from tests.support.stack import Stack

FIGURES = {
    "tiers": {"auto": 4210, "confirm": 1200, "label": 590},
    "audits": {"audits": 212, "wrong": 3, "waiting": 8, "affordable": 90, "outlook": {"audits": 64, "error": 0.014}},
    "says": "Of 212 audits 3 found the machine wrong: at most 1.9% of its 4210 labels are, with confidence 0.95.",
}


def test_the_page_shows_the_tiers_the_audits_and_every_certificate(manager: Person, api: Client, stack: Stack) -> None:
    project = create_project(api, name="Tiers")
    upload(api, project, [{"data": {"text": "A cat"}}])
    db = Database(stack.environment()["DATABASE_URL"])
    # As a look would have left it; a project without tiers of its own is never looked at.
    db.rows(
        "INSERT INTO aggregation_auditing"
        " (project_id, champions, sharpness, figures, seen_run, seen_version, rests_until)"
        " VALUES (%s, 1, 1.0, %s, 1000000, 1, now() + interval '1 hour')",
        project,
        json.dumps(FIGURES),
    )
    run = db.one(
        "INSERT INTO aggregation_run (project_id, kind, status, parameters, counts, metrics, error, attempts)"
        " VALUES (%s, 'retraining', 'failed', '{}', '{}', '{}', '', 1) RETURNING id",
        project,
    )
    for kind, reason in (("issued", FIGURES["says"]), ("revoked", "It has become worse than allowed.")):
        db.rows(
            "INSERT INTO aggregation_certificate"
            " (project_id, kind, learner_run_id, threshold, error, confidence, figures, reason, ended_at)"
            " VALUES (%s, %s, %s, 0.93, 0.02, 0.95, '{}', %s, now())",
            project,
            kind,
            run,
            reason,
        )
    db.connection.close()

    manager.page.goto(f"/projects/{project}/")

    manager.sees("4,210")
    manager.sees("3 found it wrong, 8 to come")
    bar = manager.page.get_by_role("img", name="Of 6,000 tasks that people have not finished")
    assert "70 % machine alone, 20 % to confirm, 9 % to label" in (bar.get_attribute("aria-label") or "")
    manager.sees("64")
    manager.sees("more audits, about; 90 are allowed")
    manager.sees("certified above 93.0 %")
    manager.sees("revoked: its labels were taken back")
    manager.page.set_viewport_size({"width": 390, "height": 844})
    assert not manager.page.evaluate("document.documentElement.scrollWidth > innerWidth")
