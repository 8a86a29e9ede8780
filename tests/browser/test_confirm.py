"""The annotator's page where the machine's answer is shown, in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.api.support import Database
from tests.browser.conftest import Person
from tests.support.client import Client, create_project, upload, wait_for
from tests.support.stack import Stack

LABELS = ["cat", "dog", "bird"]


@pytest.fixture
def db(stack: Stack) -> Iterator[Database]:
    database = Database(stack.environment()["DATABASE_URL"])
    yield database
    database.connection.close()


@pytest.fixture
def project(api: Client, db: Database) -> int:
    """Five tasks, of which the machine says that they are dogs."""
    number = create_project(api, name="Confirm", labels=LABELS, redundancy=1, confirm_above=0.5, blind_share=0.01)
    upload(api, number, [{"data": {"text": f"Animal {n}"}} for n in range(5)])
    db.rows("UPDATE projects_livemodel SET prediction_weight = 1 WHERE project_id = %s", number)
    db.rows(
        "INSERT INTO projects_prediction (task_id, posterior, run)"
        " SELECT id, '[0.05, 0.9, 0.05]', 1 FROM projects_task WHERE project_id = %s",
        number,
    )
    return number


def test_enter_accepts_what_the_machine_says_and_a_key_corrects_it(
    project: int, db: Database, join: Callable[..., Person]
) -> None:
    ann = join(project, "Ann who confirms", viewport={"width": 390, "height": 844})
    # One of a hundred is not shown it, by chance: then it is the next one that is.
    suggestion = ann.page.locator(".suggestion")
    while not suggestion.is_visible():
        ann.page.locator(".answers").wait_for()
        if suggestion.is_visible():
            break
        ann.page.keyboard.press("1")
    expect(suggestion).to_contain_text("The machine says: dog")
    expect(ann.page.get_by_role("button", name="Accept")).to_be_focused()
    assert not ann.page.evaluate("document.documentElement.scrollWidth > innerWidth")

    first = ann.page.locator(".task").inner_text()
    ann.page.wait_for_timeout(400)
    ann.page.keyboard.press("Enter")
    expect(ann.page.locator(".task")).not_to_have_text(first)
    second = ann.page.locator(".task").inner_text()
    ann.page.keyboard.press("1")
    expect(ann.page.locator(".task")).not_to_have_text(second)

    voted = (
        "SELECT t.data->>'text', v.label FROM projects_vote v JOIN projects_task t ON t.id = v.task_id"
        " WHERE v.project_id = %s"
    )

    def votes() -> dict[str, str]:
        return {text: LABELS[label] for text, label in db.rows(voted, project)}

    given = wait_for(lambda: votes() if {first, second} <= votes().keys() else None, what="both votes")
    assert (given[first], given[second]) == ("dog", "cat")
    shown = "SELECT count(*) FROM projects_assignment WHERE project_id = %s AND status = 'voted' AND shown"
    assert db.one(shown, project) >= 1


def test_a_key_held_down_does_not_accept_one_task_after_the_other(project: int, join: Callable[..., Person]) -> None:
    bob = join(project, "Bob who leans on the keyboard")
    bob.page.locator(".answers").wait_for()
    bob.page.wait_for_timeout(400)
    for _ in range(8):
        bob.page.keyboard.down("Enter")
        bob.page.wait_for_timeout(100)
    bob.page.keyboard.up("Enter")
    assert bob.page.locator(".task").inner_text() in ("Animal 0", "Animal 1"), "one key press is one answer"
