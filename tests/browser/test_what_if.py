"""A manager asks what other settings would have made of the project's votes."""

from __future__ import annotations

import random
import re

from playwright.sync_api import expect

from tests.api.support import CSV
from tests.browser.conftest import Person
from tests.support.client import Client, create_project, upload


def test_a_manager_asks_what_a_target_would_have_saved(manager: Person, api: Client) -> None:
    project = create_project(api, name="Paid for", redundancy=5, price_per_vote="0.10", currency="EUR")
    upload(api, project, [{"key": str(n), "data": {"n": n}} for n in range(40)])
    dice, labels = random.Random(1), ("cat", "dog")
    votes = [(n, a, labels[n % 2] if dice.random() < 0.8 else dice.choice(labels)) for n in range(40) for a in range(5)]
    rows = "task,worker,label\n" + "".join(f"{n},annotator {a},{label}\n" for n, a, label in votes)
    api.ok("POST", f"/api/projects/{project}/votes/import", content=rows.encode(), headers=CSV)
    manager.page.goto(f"/projects/{project}/")
    manager.clicks("What if?")

    replay = manager.page.get_by_role("button", name="Replay the votes")
    expect(replay).to_be_disabled()
    manager.page.get_by_label("Target confidence").fill("0.9")
    expect(manager.page.get_by_text("Now: none")).to_be_visible()
    manager.page.get_by_label("Ask an expert below this confidence").fill("0.99")
    expect(manager.page.get_by_label("Learner")).to_have_count(0)
    replay.click()

    answer = manager.page.get_by_role("region", name="Now and what if")
    expect(answer).to_contain_text("100 % of the votes (200, 20.00 EUR)", timeout=120_000)
    expect(answer).to_contain_text("Tasks left to an expert")
    spent = answer.locator("tr").filter(has_text="Votes spent").locator("td").nth(2)
    (less,) = re.findall(r"\((\d+),", spent.inner_text())
    assert int(less) < 200
    found = list(api.pages(f"/api/projects/{project}/backtests"))
    assert [row["settings"] for row in found] == [{"target_confidence": 0.9, "flag_below": 0.99}]
    expect(manager.page.locator(".chart canvas")).to_be_visible()
    manager.page.get_by_text("The curves as a table").click()
    expect(manager.page.get_by_role("region", name="Accuracy by votes").locator("tbody tr")).to_have_count(11)
    for width in (1280, 390):
        manager.page.set_viewport_size({"width": width, "height": 844})
        assert not manager.page.evaluate("document.documentElement.scrollWidth > innerWidth")
