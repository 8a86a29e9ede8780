"""Other people's servers on the manager's page: a remote learner that is taught and asked, and webhooks."""

from __future__ import annotations

import os
import re

from playwright.sync_api import expect

from tests.api.support import CSV
from tests.browser.conftest import Person
from tests.support.client import Client, create_project, upload, wait_for
from tests.support.ml_backend import ml_backend
from tests.support.receiver import receiver


def shot(person: Person, name: str) -> None:
    """Kept where CROWD_SCREENSHOTS says, to be looked at."""
    if folder := os.environ.get("CROWD_SCREENSHOTS"):
        person.page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def labelled(api: Client, **settings: object) -> int:
    """Forty numbers, cats below twenty; people have labelled every fourth."""
    project = create_project(api, name="Elsewhere", retrain_after_votes=1_000_000, **settings)
    upload(api, project, [{"key": str(n), "data": {"n": n}} for n in range(40)])
    votes = "task,worker,label\n" + "".join(f"{n},Ada,{'cat' if n < 20 else 'dog'}\n" for n in range(0, 40, 4))
    api.ok("POST", f"/api/projects/{project}/votes/import", content=votes.encode(), headers=CSV)
    return project


def test_a_manager_connects_a_backend_sees_why_it_fails_and_tries_again(manager: Person, api: Client) -> None:
    project = labelled(api, learner="remote", learner_fields=["n"])
    page = manager.page
    page.goto(f"/projects/{project}/")
    manager.sees("It has no address yet")

    with ml_backend() as backend:
        backend.password = "secret"
        page.get_by_label("Address", exact=True).fill(backend.url)
        page.get_by_label("Name (optional)").fill("crowd")
        page.get_by_label("Password (optional)").fill("wrong")
        manager.clicks("Save the address")
        manager.sees("not asked yet")
        manager.clicks("Teach and ask it now")
        manager.sees(re.compile("It failed once and is left alone until .*401"))
        shot(manager, "remote-failed")

        page.get_by_text("Its address").click()
        page.get_by_label("Password (optional)").fill("secret")
        manager.clicks("Save the address")
        manager.sees("One is stored, and stays")
        manager.clicks("Teach and ask it now")
        manager.sees("it did as it was asked on")
        manager.sees("not asked about 10 that had votes before")
        assert api.ok("GET", f"/api/projects/{project}/statistics")["learner"]
        assert page.get_by_label("Password (optional)").input_value() == ""
    shot(manager, "remote")
    page.set_viewport_size({"width": 390, "height": 844})
    shot(manager, "remote-narrow")
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_a_manager_registers_a_webhook_and_sees_what_becomes_of_it(manager: Person, api: Client) -> None:
    project = labelled(api)
    page = manager.page
    page.goto(f"/projects/{project}/")
    page.get_by_role("heading", name="Webhooks").click()
    with receiver() as server:
        server.answers = lambda _: 500
        page.get_by_label("Address of the webhook").fill(server.url)
        manager.clicks("Add the webhook")
        expect(page.get_by_label("Secret", exact=True)).to_have_value(re.compile("^whsec_.{40}"))
        manager.sees(re.compile("failed .*answered 500 · again at"))
        shot(manager, "webhook-failed")

        server.answers = lambda _: 200
        manager.clicks("Switch off")
        manager.clicks("Switch on")
        manager.sees(re.compile("last received .* up to date"))
        wait_for(lambda: len(server.labels) == 10, what="the labels")
        expect(page.get_by_label("Secret", exact=True)).to_have_count(0)
        manager.clicks("New secret")
        expect(page.get_by_label("Secret", exact=True)).to_have_value(re.compile("^whsec_"))
    page.set_viewport_size({"width": 390, "height": 844})
    shot(manager, "webhook-narrow")
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    manager.clicks("Remove")
    manager.sees("No webhook yet.")
