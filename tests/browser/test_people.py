"""Training, test and quota at the annotator's desk; tags, pools and stages on the manager's page."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.conftest import Person
from tests.support.client import Client, create_project, upload

Join = Callable[..., Person]


def test_an_annotator_learns_is_tested_and_works_by_keyboard_until_the_days_quota(
    api: Client, join: Join, manager: Person
) -> None:
    project = create_project(api, name="Pets for the trained", training_tasks=2, test_tasks=1, daily_quota=2)
    entry = [{"data": {"text": f"Practice {n}"}, "gold": "dog", "qualification": True} for n in range(3)]
    upload(api, project, [*entry, *({"data": {"text": f"Real {n}"}} for n in range(4))])
    ada = join(project, "Ada of training", viewport={"width": 390, "height": 844})

    ada.sees("Training: 1 of 2")
    assert ada.page.get_by_text("Skip this task").count() == 0
    ada.page.keyboard.press("s")
    ada.page.keyboard.press("1")
    ada.sees("Not quite")
    ada.sees("You chose cat; it is")
    ada.page.keyboard.press("Enter")
    ada.sees("Training: 2 of 2")
    ada.page.keyboard.press("2")
    ada.sees("That’s right!")
    assert not ada.page.evaluate("document.documentElement.scrollWidth > innerWidth")
    ada.page.keyboard.press("Enter")

    ada.sees("That was the training. The test begins.")
    ada.sees("Test: 1 of 1")
    ada.page.keyboard.press("2")

    ada.sees("You are in.")
    expect(ada.page.locator(".task")).to_contain_text("Real")
    ada.sees("Skip this task")
    for _ in range(2):
        before = ada.page.locator(".task").inner_text()
        ada.page.keyboard.press("1")
        expect(ada.page.locator("main")).not_to_contain_text(before)
    ada.sees("That is all for today")
    ada.sees("There is more for you from")
    expect(ada.page.locator(".mine")).to_contain_text("2 of 2")


def test_who_does_not_pass_is_told_kindly_and_a_manager_lets_them_in(api: Client, join: Join, manager: Person) -> None:
    project = create_project(api, name="Pets for the tested", test_tasks=1)
    entry = [{"data": {"text": "Practice"}, "gold": "dog", "qualification": True}]
    upload(api, project, [*entry, {"data": {"text": "Real"}}, {"data": {"text": "Hund oder Katze?"}, "pool": "german"}])
    bob = join(project, "Bob of tests")
    bob.sees("Test: 1 of 1")
    bob.page.keyboard.press("1")
    bob.sees("Not this time")
    bob.sees("You had 0 of 1 right")

    manager.page.goto(f"/projects/{project}/")
    manager.sees("Nobody has the tag “german”")
    row = manager.page.locator("tr").filter(has_text="Bob of tests").first
    expect(row).to_contain_text("did not pass, 0 of 1 right")
    row.get_by_role("button", name="Qualify").click()
    expect(row).to_contain_text("qualified")
    tags = row.get_by_label("Tags of Bob of tests")
    tags.fill("german, polite")
    tags.press("Enter")
    manager.sees("german: 1 open, 1 person")
    assert manager.page.get_by_text("Nobody has the tag").count() == 0

    bob.clicks("Look again")
    expect(bob.page.locator(".task")).to_be_visible()
    bob.page.keyboard.press("1")
    bob.page.keyboard.press("1")
    bob.sees("All done")
    assert sorted(api.ok("GET", f"/api/projects/{project}/statistics")["pools"][0].items()) == [
        ("members", 1),
        ("open", 1),
        ("pool", "german"),
    ]
