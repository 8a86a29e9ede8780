"""People with browsers: each a Chromium context of its own, whose console and network are watched."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, expect, sync_playwright

from tests.support.client import Client, sign_in_by_link

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("/usr/bin/chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MISSING = (
    "No Chromium was found, so the pages were NOT tested. Get one with `apt-get install chromium` or "
    "`uv run playwright install chromium`, or name one in CROWD_CHROMIUM."
)
WAIT_MS = 30_000  # a deadline, not a measurement: the machine may be busy


def find_chromium(of_playwright: str) -> str | None:
    """CROWD_CHROMIUM, Debian's, another one on the path, or Playwright's own."""
    named = os.environ.get("CROWD_CHROMIUM")
    if named:
        return shutil.which(named) or pytest.fail(f"CROWD_CHROMIUM names {named}, which is no program.")
    return next(filter(None, map(shutil.which, [*PLACES, of_playwright])), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # One for all tests here, stopped after them: while Playwright's event loop lives, Django refuses database work.
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        program = find_chromium(playwright.chromium.executable_path)
        if program is None:
            if os.environ.get("CROWD_REQUIRE_BROWSER") == "1":
                pytest.fail(MISSING)
            pytest.skip(MISSING)  # loudly; `.ci/run` makes it a failure
        chromium = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield chromium
        chromium.close()


class Person:
    """Somebody in front of a browser. ``problems`` holds what nobody should ever see: errors and foreign requests."""

    def __init__(self, browser: Browser, url: str, **context: Any) -> None:
        self.url = url
        self.context = browser.new_context(base_url=url, **context)
        self.context.set_default_timeout(WAIT_MS)
        self.problems: list[str] = []
        self.refusals: set[int] = set()  # statuses that this test provokes
        self.page = self.open_page()

    def open_page(self) -> Page:
        page = self.context.new_page()
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.problems.append(f"exception: {error}"))
        page.on("request", self._on_request)
        return page

    def _on_console(self, message: ConsoleMessage) -> None:
        refused = re.search(r"Failed to load resource.* status of (\d+)", message.text)
        expected = refused is not None and int(refused[1]) in self.refusals
        if message.type in ("error", "warning") and not expected:
            self.problems.append(f"console {message.type}: {message.text} ({message.location.get('url', '')})")

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.url}/", "data:", "blob:")):
            self.problems.append(f"request to another origin: {request.url}")

    def sees(self, text: str | re.Pattern[str]) -> Locator:
        """Waits until the text is on the page."""
        found = self.page.get_by_text(text).first
        found.wait_for()
        return found

    def clicks(self, name: str, role: Any = "button") -> None:
        self.page.get_by_role(role, name=name, exact=True).click()

    def tabs_to(self, name: str) -> None:
        """Presses Tab until the control of this name has the focus, and checks that the focus can be seen."""
        for _ in range(80):
            self.page.keyboard.press("Tab")
            if self.page.evaluate(FOCUSED_NAME) == name:
                assert self.page.evaluate(FOCUS_IS_VISIBLE), f"the focus on {name!r} cannot be seen"
                return
        raise AssertionError(f"no way by Tab to {name!r}")


FOCUSED_NAME = """() => {
  const focused = document.activeElement;
  const named = focused.labels?.[0] ?? focused;
  const words = named.querySelector("span") ?? named;
  return (focused.getAttribute("aria-label") ?? words.innerText ?? "").trim();
}"""
FOCUS_IS_VISIBLE = """() => {
  const style = getComputedStyle(document.activeElement);
  return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
}"""


@pytest.fixture
def person(browser: Browser, stack: Any) -> Iterator[Callable[..., Person]]:
    """Makes people; after the test each of their browsers must have been silent and stayed at home."""
    people: list[Person] = []

    def make(**context: Any) -> Person:
        people.append(Person(browser, stack.url, **context))
        return people[-1]

    yield make
    problems = [problem for somebody in people for problem in somebody.problems]
    for somebody in people:
        somebody.context.close()
    assert not problems, problems


@pytest.fixture(scope="module")
def manager_link(stack: Any) -> Callable[[], str]:
    """Makes one-time sign-in links for the manager of these tests, as an operator does."""

    def make() -> str:
        printed = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), "sign_in_link", "grace"],
            env=os.environ | {"CROWD_HOME": str(stack.home)},
            capture_output=True,
            text=True,
            check=True,
        )
        return printed.stdout.strip()

    return make


@pytest.fixture(scope="module")
def api(manager_link: Callable[[], str]) -> Iterator[Client]:
    """The same manager as a script: for what a test needs but does not test."""
    with sign_in_by_link(manager_link()) as client:
        yield client


@pytest.fixture(scope="module")
def signed_in(browser: Browser, manager_link: Callable[[], str]) -> Any:
    """The cookies of the manager, signed in once for all tests."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(manager_link())
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Projects").wait_for()
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def manager(person: Callable[..., Person], signed_in: Any) -> Person:
    return person(storage_state=signed_in)


@pytest.fixture
def join(person: Callable[..., Person], api: Client) -> Callable[..., Person]:
    """A new annotator, arrived at the page of a project."""

    def make(project: int, name: str, **context: Any) -> Person:
        annotator = person(**context)
        annotator.page.goto(api.ok("POST", f"/api/projects/{project}/invites", {"role": "annotator"})["link"])
        annotator.page.get_by_label("Your name").fill(name)
        annotator.clicks("Join")
        annotator.page.wait_for_url(f"{annotator.url}/annotate/?project={project}")
        return annotator

    return make
