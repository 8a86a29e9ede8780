"""Why there is no task: the annotator's page says it in words of its own, whatever the reason."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.conftest import Person
from tests.support.client import Client, create_project, lease, upload, wait_for
from tests.support.client import join as join_by_script

Join = Callable[..., Person]
PHONE = {"width": 390, "height": 844}


def sanction(api: Client, project: int, name: str, **what: object) -> int:
    """Does this about the annotator of this name; the sanction's id."""
    (member,) = [row["id"] for row in api.pages(f"/api/projects/{project}/members") if row["name"] == name]
    done = api.ok("POST", f"/api/projects/{project}/members/{member}/sanctions", {"reason": "A test", **what})
    return int(done["id"])


def answers(person: Person) -> None:
    """Answers the task on the screen, which goes."""
    before = person.page.locator(".task").inner_text()
    person.page.keyboard.press("1")
    expect(person.page.locator("main")).not_to_contain_text(before)


def test_who_is_paused_answers_what_they_hold_and_sees_until_when(api: Client, join: Join) -> None:
    project = create_project(api, name="Paused people")
    upload(api, project, [{"data": {"text": f"Picture {n}"}} for n in range(20)])
    ada = join(project, "Ada of pauses", viewport=PHONE)
    ada.refusals = {403}
    expect(ada.page.locator(".task")).to_be_visible()
    paused = sanction(api, project, "Ada of pauses", action="pause", pause_hours=3)

    for _ in range(3):
        answers(ada)

    ada.sees("You are paused")
    ada.sees("You get no tasks here until")
    assert not ada.page.evaluate("document.documentElement.scrollWidth > innerWidth")
    expect(ada.page.locator(".mine")).to_contain_text("in all 3")  # what she held counts
    api.ok("POST", f"/api/projects/{project}/sanctions/{paused}/lift", {})
    ada.clicks("Look again")
    expect(ada.page.locator(".task")).to_be_visible()


def test_who_is_blocked_is_told_and_what_they_answer_then_waits_for_nothing(api: Client, join: Join) -> None:
    project = create_project(api, name="Blocked people")
    upload(api, project, [{"data": {"text": f"Picture {n}"}} for n in range(20)])
    eve = join(project, "Eve of blocks", viewport=PHONE)
    eve.refusals = {403}
    expect(eve.page.locator(".task")).to_be_visible()
    sanction(api, project, "Eve of blocks", action="block")

    eve.page.keyboard.press("1")

    eve.sees("Your work here has ended")
    eve.sees("You can no longer work in this project, so that answer was not counted.")
    expect(eve.page.locator(".task")).to_have_count(0)
    expect(eve.page.get_by_text("not yet sent")).to_have_count(0)


def test_who_is_warned_is_asked_to_take_care_and_goes_on(api: Client, join: Join) -> None:
    project = create_project(api, name="Warned people")
    upload(api, project, [{"data": {"text": "Picture"}}])
    bob = join(project, "Bob of warnings")
    expect(bob.page.locator(".task")).to_be_visible()
    sanction(api, project, "Bob of warnings", action="warn")

    bob.page.reload()

    bob.sees("You have been asked to take more care here")
    expect(bob.page.locator(".task")).to_be_visible()


def test_waiting_for_others_pause_of_the_project_and_its_end_are_told_apart(api: Client, join: Join) -> None:
    project = create_project(api, name="Last tasks", redundancy=1)
    upload(api, project, [{"data": {"text": "The last picture"}}])
    with join_by_script(api, project, "Ann who holds it") as ann:
        (held,) = lease(ann, project)
        ada = join(project, "Ada of waiting")
        ada.sees("Others are working on the last tasks")

        api.ok("POST", f"/api/projects/{project}/pause")
        ada.sees("The manager has paused this project.")
        api.ok("POST", f"/api/projects/{project}/resume")
        ada.sees("Others are working on the last tasks")

        ann.ok("POST", f"/api/projects/{project}/votes", {"votes": [{"assignment": held["id"], "label": "cat"}]})
        ada.sees("All done")


def test_a_spent_budget_and_a_quota_in_all_have_their_own_words(api: Client, join: Join) -> None:
    poor = create_project(api, name="A spent budget", budget="1")
    short = create_project(api, name="A small share", total_quota=1)
    for project, told in ((poor, "nothing is left to spend on them"), (short, "You have done your share")):
        upload(api, project, [{"data": {"text": f"Picture {n}"}} for n in range(2)])
        ada = join(project, f"Ada of {project}")
        answers(ada)
        ada.sees(told)
        wait_for(lambda ada=ada: ada.page.get_by_role("button", name="Look again").is_visible(), what="a way to go on")
