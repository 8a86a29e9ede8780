"""The budget on the pages: set, watched, spent and raised by a manager; earned by an annotator."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.conftest import Person
from tests.support.client import Client, create_project, upload


def test_a_manager_sets_a_budget_watches_it_go_and_raises_it(
    manager: Person, api: Client, join: Callable[..., Person]
) -> None:
    project = create_project(api, name="Paid birds")
    upload(api, project, [{"data": {"text": f"Bird {n}"}} for n in range(9)])
    page = manager.page
    page.goto(f"/projects/{project}/")
    page.get_by_text("Settings", exact=True).click()
    page.get_by_label("Pay for a vote (optional)").fill("0.05")
    page.get_by_label("Budget (optional)").fill("0.10")
    page.get_by_label("Currency").fill("EUR")
    manager.clicks("Save")
    manager.sees("Saved.")
    manager.sees("Budget in EUR: 0.00 of 0.10 spent")

    ann = join(project, "Ann of the budget")
    for earned in ("0.05", "0.10"):
        ann.page.locator(".task").wait_for()
        ann.page.keyboard.press("1")
        expect(ann.page.locator(".mine")).to_contain_text(f"earned {earned} EUR")
    ann.sees("nothing is left to spend on them")

    manager.sees("0.10 of 0.10 spent")
    manager.sees("The budget is spent: nobody gets a task.")
    page.get_by_label("Budget (optional)").fill("0.01")
    manager.refusals.add(409)
    manager.clicks("Save")
    manager.sees(re.compile("At least 0.1: 0.1 is spent and 0 is reserved by open leases."))
    page.get_by_label("Budget (optional)").fill("5")
    manager.clicks("Save")
    manager.sees("0.10 of 5.00 spent")

    ann.clicks("Look again")
    ann.page.locator(".task").wait_for()
