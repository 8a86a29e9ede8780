"""Rules and sanctions on the manager's page."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Person
from tests.support.client import Client, create_project, join, lease, upload, vote


def test_a_manager_blocks_somebody_lifts_it_and_adds_a_rule(manager: Person, api: Client) -> None:
    project = create_project(api, name="Conduct")
    upload(api, project, [{"data": {"n": n}} for n in range(3)])
    with join(api, project, "Eve of conduct") as eve:
        (held,) = lease(eve, project)
        vote(eve, project, held["id"], "cat")
    manager.page.set_viewport_size({"width": 390, "height": 844})
    manager.page.goto(f"/projects/{project}/")
    manager.page.get_by_text("Rules and sanctions").click()
    manager.page.get_by_label("Annotator", exact=True).select_option(label="Eve of conduct")
    manager.page.get_by_label("Action", exact=True).select_option("discard")
    assert manager.page.get_by_label("Hours", exact=True).count() == 0, "only a pause has an end"
    manager.page.get_by_label("Reason").fill("Answers at random")
    manager.clicks("Do it")

    record = manager.page.locator(".record li").filter(has_text="Eve of conduct")
    expect(record).to_contain_text("Votes discarded")
    assert [row["standing"] for row in api.pages(f"/api/projects/{project}/members") if row["role"] == "annotator"] == [
        "blocked"
    ]
    expect(manager.page.get_by_label("Reason")).to_have_value("")
    row = manager.page.get_by_role("region", name="People").locator("tr").filter(has_text="Eve of conduct")
    expect(row).to_contain_text("blocked")
    manager.clicks("Lift")
    expect(record.filter(has_text="(lifted)")).to_contain_text("Answers at random")
    assert not manager.page.evaluate("document.documentElement.scrollWidth > innerWidth")

    manager.page.get_by_text("Add a rule").click()
    manager.page.get_by_label("Limit").fill("0.8")
    manager.page.get_by_label("For so many hours").fill("24")
    manager.clicks("Add")
    manager.sees("Surely worse on known labels than 80 % (95 % sure), from 20 answers on: pause for 24 h")
    manager.clicks("End")
    expect(manager.page.get_by_text("from 20 answers on")).to_have_count(0)
