"""The expert's desk in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.conftest import Person
from tests.support.client import Client, create_project, join, lease, upload, vote, wait_for

TEXTS = ["Is this a cat or a dog?", "It barks, it purrs", "<b>bold</b> animal"]


def disputed_project(api: Client, *names: str) -> int:
    """Three tasks, of each of which the first of two people says cat and the second dog."""
    project = create_project(api, name="Disputed pets", redundancy=2, flag_below=0.8)
    upload(api, project, [{"key": str(n), "data": {"text": text}} for n, text in enumerate(TEXTS)])
    for name, label in zip(names, ("cat", "dog"), strict=True):
        with join(api, project, name) as annotator:
            for assignment in lease(annotator, project, len(TEXTS)):
                assert vote(annotator, project, assignment["id"], label).status_code == 200
    return project


def test_an_expert_decides_by_keyboard_takes_back_and_asks_for_more(person: Callable[..., Person], api: Client) -> None:
    project = disputed_project(api, "Ada of experts", "Bob of experts")
    rita = person(viewport={"width": 390, "height": 844})
    rita.page.goto(api.ok("POST", f"/api/projects/{project}/invites", {"role": "reviewer"})["link"])
    rita.page.get_by_label("Your name").fill("Rita")
    rita.clicks("Join")
    rita.page.wait_for_url(re.compile(rf"/projects/{project}/review/$"))

    task = rita.page.locator(".task")
    expect(task).to_have_text(TEXTS[0])
    rita.sees("All votes are in, and they leave it unsure.")
    expect(rita.page.locator(".vote-row").filter(has_text="Ada of experts")).to_contain_text("50 %")
    assert not rita.page.evaluate("document.documentElement.scrollWidth > innerWidth")
    rita.page.keyboard.press("2")
    expect(task).to_have_text(TEXTS[1])
    rita.sees("Decided:")

    rita.page.keyboard.press("u")
    expect(task).to_have_text(TEXTS[0])
    rita.sees("Rita took that back")
    rita.page.keyboard.press("1")
    expect(task).to_have_text(TEXTS[1])

    rita.page.keyboard.press("s")
    expect(task).to_have_text(TEXTS[2])
    rita.page.keyboard.press("m")
    rita.sees("2 more votes asked for.")
    expect(task).to_have_text(TEXTS[1])
    rita.page.get_by_role("button", name="dog").click()
    rita.sees("Nothing to review")

    consensus = wait_for(
        lambda: [
            row for row in api.ok("GET", f"/api/projects/{project}/consensus")["results"] if row["source"] == "review"
        ][1:],
        what="two reviewed labels",
    )
    assert consensus


def test_who_comes_second_is_told_and_sees_what_the_first_decided(manager: Person, api: Client) -> None:
    manager.refusals = {409}
    project = disputed_project(api, "Ann of two", "Ben of two")
    manager.page.goto(f"/projects/{project}/review/")
    expect(manager.page.locator(".task")).to_have_text(TEXTS[0])
    first = api.ok("GET", f"/api/projects/{project}/reviews")["results"][0]
    api.ok("POST", f"/api/projects/{project}/reviews/{first['task']}", {"label": "cat"})

    manager.page.keyboard.press("2")

    manager.sees("grace has reviewed this task")
    manager.sees("grace chose cat")
    manager.page.keyboard.press("2")
    manager.sees("Decided:")
    expect(manager.page.locator(".task")).to_have_text(TEXTS[1])
