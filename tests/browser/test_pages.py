"""The pages in a real browser, against the real stack: what managers and annotators do, from the first click on."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Person
from tests.support.client import Client, create_project, lease, upload, vote, wait_for

ATTACK = '<img src=x onerror="window.brokenInto=1">'
Join = Callable[..., Person]


def csv_file(name: str, texts: Iterable[str]) -> dict[str, Any]:
    lines = ["key,text", *(f'{name}-{index},"{text}"' for index, text in enumerate(texts))]
    return {"name": f"{name}.csv", "mimeType": "text/csv", "buffer": "\n".join(lines).encode()}


def drop(page: Page, box: str, path: Path) -> None:
    """Drops a file as the browser itself does when a person lets go of it over the page."""
    page.locator(box).scroll_into_view_if_needed()
    area = page.locator(box).bounding_box()
    assert area
    devtools = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        where = {"x": area["x"] + area["width"] / 2, "y": area["y"] + area["height"] / 2}
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        devtools.send("Input.dispatchDragEvent", {"type": kind, "data": data, **where})


def task_text(annotator: Person) -> str:
    return annotator.page.locator(".task").inner_text()


def answered(annotator: Person, votes: int) -> None:
    """Waits until the server has acknowledged so many votes of this person."""
    annotator.sees(re.compile(rf"in all\s*{votes}$"))


def figure_becomes(manager: Person, name: str, value: str) -> None:
    """Waits until the project page says so by itself."""
    title = manager.page.locator("dt").get_by_text(name, exact=True)
    expect(manager.page.locator(".figures > div").filter(has=title).locator("strong")).to_have_text(value)


def scrolls_sideways(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def assert_unharmed(page: Page) -> None:
    assert page.evaluate("window.brokenInto") is None
    assert page.locator("img:not([src$='icon.svg'])").count() == 0


def test_a_campaign_from_the_first_sign_in_to_consensus(
    person: Callable[..., Person], manager_link: Callable[[], str], tmp_path: Path
) -> None:
    # Grace signs in; her link leaves no trace in the address bar.
    grace = person()
    grace.page.goto(manager_link())
    grace.clicks("Sign in")
    grace.page.wait_for_url(f"{grace.url}/")

    # She makes a project and drops a file of tasks on the form.
    grace.clicks("New project")
    grace.page.get_by_label("Name", exact=True).fill("Kinds of messages")
    grace.page.get_by_label("Labels").first.fill("greeting, question, other")
    grace.page.get_by_label("Instructions").fill("Read it.\nThen choose.")
    grace.page.get_by_label("Votes per task", exact=True).fill("1")
    tasks = tmp_path / "messages.csv"
    tasks.write_bytes(csv_file("messages", (f"Message {index}" for index in range(8)))["buffer"])
    drop(grace.page, ".file-box", tasks)
    grace.sees("messages.csv")
    grace.clicks("Create project")
    grace.page.wait_for_url(re.compile(r"/projects/\d+/$"))
    project = int(grace.page.url.rstrip("/").rpartition("/")[2])
    figure_becomes(grace, "Tasks", "8")

    # More tasks come from the project's own page.
    grace.page.locator("input[type=file]").set_input_files(csv_file("more", ["Message 8", "Message 9"]))
    grace.clicks("Upload")
    grace.sees("2 tasks added")
    figure_becomes(grace, "Tasks", "10")

    # Ada follows the invite on her own device.
    grace.clicks("Make an invite link")
    invite = grace.page.get_by_label("Invite link").input_value()
    ada = person()
    ada.page.goto(invite)
    ada.page.get_by_label("Your name").fill("Ada")
    ada.clicks("Join")
    ada.page.wait_for_url(f"{ada.url}/annotate/?project={project}")
    ada.sees("Then choose.")
    ada.page.go_back()
    assert invite.rpartition("#")[2] not in ada.page.url  # nor is the token left in the history
    ada.page.go_forward()
    ada.sees("Then choose.")

    # She answers by key and by mouse, and never sees the same task twice.
    texts = []
    for turn in range(6):
        expect(ada.page.locator(".task")).to_have_text(re.compile("Message"))
        texts.append(task_text(ada))
        if turn % 2:
            ada.page.get_by_role("button", name="question").click()
        else:
            ada.page.keyboard.press("1")
        expect(ada.page.locator(".task")).not_to_have_text(texts[-1])
    answered(ada, 6)
    assert len(set(texts)) == 6

    # Grace sees it without reloading, pauses, and Ada is told; both without a click of hers.
    figure_becomes(grace, "Votes", "6")
    expect(grace.page.locator(".bar strong")).to_have_text("60 %")
    grace.clicks("Pause")
    ada.sees("The manager has paused this project.")
    grace.clicks("Resume")
    expect(ada.page.locator(".task")).to_have_text(re.compile("Message"))

    # The rest: one skipped, the others answered.
    ada.page.keyboard.press("s")
    for votes in range(7, 10):
        expect(ada.page.locator(".task")).to_be_visible()
        ada.page.keyboard.press("3")
        answered(ada, votes)
    ada.sees("All done")
    figure_becomes(grace, "Votes", "9")
    expect(grace.page.get_by_role("row", name=re.compile(r"Ada\b.* 9 "))).to_be_visible()

    # Consensus is what Ada said.
    address = f"/api/projects/{project}/consensus.csv"
    wait_for(lambda: grace.context.request.get(address).text().count("\n") >= 10, what="consensus of nine tasks")
    with grace.page.expect_download() as download:
        grace.clicks("Download CSV")
    rows = list(csv.DictReader(download.value.path().read_text().splitlines()))
    assert sorted(row["label"] for row in rows) == ["greeting"] * 3 + ["other"] * 3 + ["question"] * 3
    assert all(0 < float(row["confidence"]) <= 1 and row["votes"] == "1" for row in rows)


def test_the_page_says_how_far_confidence_can_be_trusted_and_why(manager: Person, api: Client) -> None:
    """Before there is enough gold and after; what the label model chose; what each run did, its drift too."""
    project = create_project(api, name="Trust", redundancy=9)
    upload(api, project, [{"key": str(n), "data": {"n": n}} for n in range(40)])
    rows = [f"{n},{who},{'cat' if (n + (n * who % 7 == 1)) % 2 else 'dog'}" for n in range(40) for who in range(5)]
    votes = "\n".join(["task,worker,label", *rows])
    api.ok("POST", f"/api/projects/{project}/votes/import", content=votes, headers={"Content-Type": "text/csv"})
    wait_for(lambda: api.ok("GET", f"/api/projects/{project}/statistics")["run"], what="the first refit")
    manager.page.goto(f"/projects/{project}/")
    manager.sees("Uncalibrated: this is how sure the label model says it is")
    for note in api.ok("GET", f"/api/projects/{project}/statistics")["notes"]:
        manager.sees(note)
    manager.sees(re.compile(r"^200 votes of 5 annotators on 40 tasks · mean confidence [\d.]+ %, uncalibrated$"))

    gold = [{"key": str(n), "data": {"n": n}, "gold": "cat" if n % 2 else "dog"} for n in range(25)]
    upload(api, project, gold)
    (assignment,) = lease(api, project)
    vote(api, project, assignment["id"], "cat")
    manager.sees(re.compile(r"^Calibrated on 25 known labels: on those held out, confidence is off by [\d.]+ %"))
    # The vote may have come in time for the refit that sees the gold, or for the next one.
    manager.sees(re.compile(r"^201 votes of 6 annotators on 40 tasks · 25 known labels · .*, calibrated"))
    manager.page.set_viewport_size({"width": 390, "height": 844})
    assert not scrolls_sideways(manager.page)


def test_a_file_with_wrong_lines_can_be_corrected_and_sent_again(manager: Person) -> None:
    manager.refusals = {400}
    manager.page.goto("/projects/new/")
    manager.page.get_by_label("Name", exact=True).fill("Twice")
    manager.page.get_by_label("Labels").first.fill("cat\ndog")
    wrong = b"key,text,gold\na,One,cat\nb,Two,horse\n"
    manager.page.locator("input[type=file]").set_input_files({"name": "a.csv", "mimeType": "text/csv", "buffer": wrong})
    manager.clicks("Create project")
    manager.sees("No task was stored.")
    expect(manager.page.get_by_role("alert")).to_contain_text("Line 3 gold")
    manager.page.locator("input[type=file]").set_input_files(
        {"name": "a.csv", "mimeType": "text/csv", "buffer": wrong.replace(b"horse", b"dog")}
    )
    manager.clicks("Upload")
    manager.page.wait_for_url(re.compile(r"/projects/\d+/$"))
    figure_becomes(manager, "Tasks", "2")


def test_the_form_shows_what_the_api_refuses_at_its_field(manager: Person) -> None:
    manager.refusals = {400}
    manager.page.goto("/projects/new/")
    manager.page.get_by_label("Name", exact=True).fill("One label only")
    manager.page.get_by_label("Labels").first.fill("cat")
    manager.clicks("Create project")
    labels = manager.page.get_by_label("Labels").first
    expect(labels).to_have_attribute("aria-invalid", "true")
    expect(manager.page.locator("#field-labels-errors")).not_to_be_empty()
    expect(labels).to_have_value("cat")


def test_what_people_write_is_shown_as_text(manager: Person, join: Join, api: Client) -> None:
    project = create_project(
        api, name=f"Name {ATTACK}", labels=[f"Label {ATTACK}", "plain"], instructions=f"Instructions {ATTACK}"
    )
    data = {"text": f"Task {ATTACK}", f"Field {ATTACK}": 1, "web": "https://example.org/a.png"}
    upload(api, project, [{"key": "a", "data": data}])
    votes = f'task,worker,label\na,"Worker {ATTACK.replace(chr(34), chr(34) * 2)}",plain\n'
    api.ok("POST", f"/api/projects/{project}/votes/import", content=votes, headers={"Content-Type": "text/csv"})
    ada = join(project, "Gus")
    for text in ("Name", "Label", "Instructions", "Task", "Field"):
        ada.sees(f"{text} {ATTACK}")
    ada.page.keyboard.press("1")
    answered(ada, 1)
    assert_unharmed(ada.page)
    manager.page.goto(f"/projects/{project}/")
    for text in ("Name", "Label", "Worker"):
        manager.page.get_by_text(f"{text} {ATTACK}").first.wait_for(state="attached")
    assert_unharmed(manager.page)
    manager.page.goto("/")
    manager.sees(f"Name {ATTACK}")
    assert_unharmed(manager.page)


def test_answers_survive_a_lost_connection_and_a_reload(join: Join, api: Client) -> None:
    project = create_project(api, name="Unsteady", redundancy=1)
    upload(api, project, [{"data": {"text": f"Message {index}"}} for index in range(5)])
    ada = join(project, "Bea")
    expect(ada.page.locator(".task")).to_be_visible()
    ada.refusals = {503}
    refuse = [re.compile("/votes$"), lambda route: route.fulfill(status=503, body="")]
    ada.page.route(*refuse)
    first = task_text(ada)
    ada.page.keyboard.press("1")
    expect(ada.page.locator(".task")).not_to_have_text(first)
    second = task_text(ada)
    ada.page.keyboard.press("2")
    ada.sees("2 answers are safe on this device")
    ada.page.reload()
    ada.sees("2 answers are safe on this device")
    expect(ada.page.locator(".task")).to_be_visible()
    assert task_text(ada) not in (first, second)
    ada.page.unroute(refuse[0])
    ada.clicks("Send now")
    answered(ada, 2)
    expect(ada.page.get_by_text("safe on this device")).to_have_count(0)
    labels = {task["data"]["text"]: task["label"] for task in api.pages(f"/api/projects/{project}/tasks")}
    assert (labels[first], labels[second]) == ("cat", "dog")


def test_an_answer_that_contradicts_a_stored_one_is_told(join: Join, api: Client) -> None:
    project = create_project(api, name="Two tabs")
    upload(api, project, [{"data": {"text": f"Message {index}"}} for index in range(2)])
    ada = join(project, "Cleo")
    expect(ada.page.locator(".task")).to_be_visible()
    ada.refusals = {409}
    shown = task_text(ada)
    elsewhere = ada.open_page()
    elsewhere.goto(f"/annotate/?project={project}")
    expect(elsewhere.locator(".task")).to_have_text(shown)
    elsewhere.keyboard.press("1")
    expect(elsewhere.locator(".task")).not_to_have_text(shown)
    wait_for(lambda: api.ok("GET", f"/api/projects/{project}/statistics")["votes"] == 1, what="the first vote")
    ada.page.keyboard.press("2")
    ada.sees("The first answer stays.")


def test_a_manager_is_told_when_somebody_else_has_edited(manager: Person, api: Client) -> None:
    manager.refusals = {409}
    project = create_project(api, name="Two managers")
    manager.page.goto(f"/projects/{project}/")
    manager.page.get_by_text("Settings", exact=True).click()
    manager.page.get_by_label("Instructions").fill("Mine")
    version = api.ok("GET", f"/api/projects/{project}")["version"]
    api.ok("PATCH", f"/api/projects/{project}", {"version": version, "instructions": "Theirs"})
    manager.clicks("Save")
    manager.sees("Somebody else has changed these settings meanwhile.")
    manager.clicks("Load theirs")
    expect(manager.page.get_by_label("Instructions")).to_have_value("Theirs")
    manager.page.get_by_label("Instructions").fill("Both")
    manager.clicks("Save")
    manager.sees("Saved.")
    assert api.ok("GET", f"/api/projects/{project}")["instructions"] == "Both"


def test_numbers_of_a_square_are_drawn_as_a_picture(join: Join, api: Client) -> None:
    project = create_project(api, name="Digits", labels=[str(digit) for digit in range(10)], redundancy=1)
    upload(api, project, [{"data": {"pixels": [16 if index == 9 else 0 for index in range(64)]}}])
    ada = join(project, "Dora")
    picture = ada.page.get_by_role("img", name=re.compile("pixels.*8 by 8"))
    expect(picture).to_be_visible()
    drawn = picture.evaluate("canvas => [...canvas.getContext('2d').getImageData(0, 0, 8, 8).data]")
    assert [drawn[4 * index] for index in range(64)] == [255 if index == 9 else 0 for index in range(64)]
    ada.page.keyboard.press("4")  # a digit is its own key, whatever its place
    answered(ada, 1)
    (task,) = api.pages(f"/api/projects/{project}/tasks")
    assert task["label"] == "4"


def test_many_labels_are_found_by_typing(join: Join, api: Client) -> None:
    project = create_project(api, name="Species", labels=[f"species {index}" for index in range(200)], redundancy=1)
    upload(api, project, [{"data": {"text": f"Bird {index}"}} for index in range(2)])
    ada = join(project, "Ella")
    expect(ada.page.get_by_role("searchbox")).to_be_focused()
    ada.page.keyboard.type("19")  # species 19, 119, 190 …
    expect(ada.page.locator(".answer")).to_have_count(12)
    ada.page.keyboard.press("ArrowDown")
    ada.page.keyboard.press("Enter")
    answered(ada, 1)
    expect(ada.page.get_by_role("searchbox")).to_have_value("")
    ada.page.keyboard.press("Escape")
    ada.page.keyboard.press("s")
    ada.sees("All done")
    assert sorted(task["label"] or "" for task in api.pages(f"/api/projects/{project}/tasks")) == ["", "species 119"]


def test_everything_can_be_done_by_keyboard(
    person: Callable[..., Person], manager_link: Callable[[], str], api: Client
) -> None:
    grace = person()
    grace.page.goto(manager_link())
    grace.sees("This link signs you in")
    grace.tabs_to("Sign in")
    grace.page.keyboard.press("Enter")
    grace.page.wait_for_url(f"{grace.url}/")
    grace.sees("Projects")
    grace.tabs_to("New project")
    grace.page.keyboard.press("Enter")
    grace.sees("Create project")
    grace.tabs_to("Name")
    grace.page.keyboard.type("By keyboard")
    grace.tabs_to("Labels")
    grace.page.keyboard.type("yes, no")
    grace.tabs_to("Create project")
    grace.page.keyboard.press("Enter")
    grace.page.wait_for_url(re.compile(r"/projects/\d+/$"))
    project = int(grace.page.url.rstrip("/").rpartition("/")[2])
    upload(api, project, [{"data": {"text": f"Message {index}"}} for index in range(3)])
    grace.sees("Make an invite link")
    grace.tabs_to("Make an invite link")
    grace.page.keyboard.press("Enter")
    invite = grace.page.get_by_label("Invite link").input_value()

    ada = person()
    ada.page.goto(invite)
    ada.sees("How shall we call you?")
    expect(ada.page.get_by_label("Your name")).to_be_focused()
    ada.page.keyboard.type("Fay")
    ada.page.keyboard.press("Enter")
    expect(ada.page.locator(".task")).to_be_visible()
    ada.page.keyboard.press("1")
    answered(ada, 1)
    ada.tabs_to("no")
    ada.page.keyboard.press("Enter")
    answered(ada, 2)


@pytest.mark.parametrize("width", [360, 1280])
def test_no_page_scrolls_sideways(manager: Person, join: Join, api: Client, width: int) -> None:
    long = "Donaudampfschifffahrtsgesellschaftskapitän" * 5
    project = create_project(
        api, name=long[:200], labels=[long[:200], "b"], instructions=long, learner="text", learner_fields=["text"]
    )
    upload(api, project, [{"data": {"text": long, "n": 1, "list": list(range(100))}} for _ in range(3)])
    ada = join(project, long[:90] + str(width), viewport={"width": width, "height": 740})
    expect(ada.page.locator(".task")).to_be_visible()
    assert not scrolls_sideways(ada.page)
    ada.page.keyboard.press("1")
    answered(ada, 1)
    manager.page.set_viewport_size({"width": width, "height": 740})
    for address, text in {
        "/": "New project",
        "/projects/new/": "Create project",
        f"/projects/{project}/": "Make an invite link",
        "/annotate/": "Which project?",
    }.items():
        manager.page.goto(address)
        manager.sees(text)
        assert not scrolls_sideways(manager.page), address


@pytest.fixture
def with_password(api: Client) -> tuple[int, str, str]:
    """Somebody who joined a project with a password: the project, their name, the password."""
    project = create_project(api)
    upload(api, project, [{"data": {"text": "Message 0"}}])
    invite = api.ok("POST", f"/api/projects/{project}/invites", {"role": "annotator"})["link"].partition("#")[2]
    name, password = f"Hal of {project}", "correct horse battery staple"
    with Client(api.base_url) as session:
        session.ok("POST", "/api/join", {"invite": invite, "name": name, "password": password})
    return project, name, password


def sign_in(somebody: Person, name: str, password: str) -> None:
    somebody.page.get_by_label("Name").fill(name)
    somebody.page.get_by_label("Password").fill(password)
    somebody.clicks("Sign in")


def test_a_stranger_is_asked_to_sign_in_and_comes_back(
    person: Callable[..., Person], with_password: tuple[int, str, str]
) -> None:
    project, name, password = with_password
    stranger = person()
    stranger.refusals = {400}
    stranger.page.goto("/projects/new/")
    stranger.page.wait_for_url(f"{stranger.url}/?next=%2Fprojects%2Fnew%2F")
    sign_in(stranger, "nobody", "a wrong password")
    expect(stranger.page.get_by_text("do not belong together")).to_be_visible()

    stranger.page.goto(f"/annotate/?project={project}")
    stranger.page.wait_for_url(f"{stranger.url}/?next=%2Fannotate%2F%3Fproject%3D{project}")
    sign_in(stranger, name, password)
    stranger.page.wait_for_url(f"{stranger.url}/annotate/?project={project}")
    expect(stranger.page.locator(".task")).to_have_text(re.compile("Message 0"))


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "//", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_signing_in_leads_to_no_other_site(
    person: Callable[..., Person], with_password: tuple[int, str, str], elsewhere: str
) -> None:
    _, name, password = with_password
    visitor = person()
    # Watched by the fixture, too: a request to another origin is a problem, answered or not.
    visitor.page.goto(f"/?{urlencode({'next': elsewhere})}")
    sign_in(visitor, name, password)
    visitor.page.wait_for_url(f"{visitor.url}/")
    visitor.sees("Projects")


def test_a_used_link_says_so(person: Callable[..., Person], manager_link: Callable[[], str]) -> None:
    link = manager_link()
    for turn in range(2):
        visitor = person()
        visitor.refusals = {400, 404, 409}
        visitor.page.goto(link)
        visitor.clicks("Sign in")
        if turn == 0:
            visitor.page.wait_for_url(f"{visitor.url}/")
        else:
            expect(visitor.page.get_by_role("alert")).to_be_visible()
