"""Votes, edits and uploads at the same moment."""

import io
from collections import Counter
from collections.abc import Callable
from functools import partial

import httpx

from projects.models import Project, ProjectStatus, Task, Vote
from projects.services.ballots import VoteInput
from projects.services.leases import lease_tasks
from projects.services.projects import set_status
from projects.services.tasks import upload_tasks
from projects.services.voting import submit_votes
from tests.concurrency.conftest import Person
from tests.concurrency.races import together
from tests.services.campaign import Campaign, assert_counters_are_true, assert_state_is_fresh, settle
from tests.support.client import Client, create_project, lease, vote, wait_for

Make = Callable[..., Campaign]
ROUNDS = 5


def test_the_same_vote_eight_times_at_once_is_one_vote(campaign: Make, crowd: list[Person]) -> None:
    c = campaign(tasks=ROUNDS)
    c.join(crowd[0].user)
    for _ in range(ROUNDS):
        (assignment,) = lease(crowd[0].client, c.id)

        send = partial(vote, crowd[0].client, c.id, assignment["id"], "cat")
        answers = together([send] * 8, database=False)

        assert {(answer.status_code, answer.text) for answer in answers} == {(200, answers[0].text)}
        assert Vote.objects.filter(assignment=assignment["id"]).count() == 1
    settle(c.project)
    assert_state_is_fresh(c.project)


def test_of_two_different_votes_at_once_one_stays(campaign: Make, crowd: list[Person]) -> None:
    c = campaign(tasks=ROUNDS)
    c.join(crowd[0].user)
    for _ in range(ROUNDS):
        (assignment,) = lease(crowd[0].client, c.id)

        labels = ["cat", "dog"] * 4
        answers = together(
            [partial(vote, crowd[0].client, c.id, assignment["id"], label) for label in labels], database=False
        )

        stored = ["cat", "dog"][Vote.objects.get(assignment=assignment["id"]).label or 0]
        for label, answer in zip(labels, answers, strict=True):
            assert answer.status_code == (200 if label == stored else 409)
            assert label == stored or answer.json()["code"] == "vote_conflict"
    settle(c.project)
    assert_state_is_fresh(c.project)


def test_votes_on_one_task_at_once_all_count_in_its_posterior(campaign: Make) -> None:
    """Each transaction recomputes from all counted votes under the task's lock: the last one has seen every other."""
    c = campaign(tasks=1, annotators=12, redundancy=12)
    leases = [c.lease(a) for a in range(12)]

    together(
        [
            partial(submit_votes, member=c.member(a), votes=[VoteInput(leases[a].id, "cat" if a % 3 else "dog")])
            for a in range(12)
        ]
    )

    assert (c.state(0).votes, c.state(0).version, c.state(0).retired) == (12, 12, "redundancy")
    settle(c.project)
    assert_state_is_fresh(c.project)


def test_pausing_while_everybody_votes(campaign: Make, crowd: list[Person]) -> None:
    """Acknowledged is stored, refused is not; and after the answer to the pause nothing more gets in."""
    c = campaign(tasks=40, redundancy=16)
    for person in crowd[:8]:
        c.join(person.user)
    assignments = {person: lease(person.client, c.id, 20) for person in crowd[:8]}

    def vote_on_all(person: Person) -> list[httpx.Response]:
        return [vote(person.client, c.id, assignment["id"], "cat") for assignment in assignments[person]]

    def pause() -> list[httpx.Response]:
        # In the midst of it: not before the first votes are in.
        wait_for(lambda: Vote.objects.filter(project=c.id).count() >= 30, what="thirty votes")
        set_status(project_id=c.id, status=ProjectStatus.PAUSED)
        return []

    answers = [answer for sent in together([*(partial(vote_on_all, p) for p in crowd[:8]), pause]) for answer in sent]
    counts = Counter(answer.status_code for answer in answers)
    assert counts.keys() == {200, 409}, "the pause came in the midst of it"
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"project_paused"}
    stored_at_pause = Vote.objects.filter(project=c.id).count()
    assert stored_at_pause == counts[200]
    assert crowd[0].client.post(f"/api/projects/{c.id}/assignments", {"count": 1}).json()["code"] == "project_paused"

    set_status(project_id=c.id, status=ProjectStatus.ACTIVE)
    again = [answer for sent in together([partial(vote_on_all, p) for p in crowd[:8]]) for answer in sent]
    assert {answer.status_code for answer in again} == {200}, "the leases are still there: no answer was lost"
    assert Vote.objects.filter(project=c.id).count() == 160
    assert_counters_are_true(c.project)


def test_two_managers_edit_at_once_and_one_is_told(manager: Client) -> None:
    project = create_project(manager, name="Edited")
    for _ in range(ROUNDS):
        version = manager.ok("GET", f"/api/projects/{project}")["version"]
        names = [f"name {n} of version {version}" for n in range(4)]

        answers = together(
            [partial(manager.patch, f"/api/projects/{project}", {"name": name, "version": version}) for name in names],
            database=False,
        )

        assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 3}
        assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"edited_meanwhile"}
        (winner,) = [name for name, answer in zip(names, answers, strict=True) if answer.status_code == 200]
        after = manager.ok("GET", f"/api/projects/{project}")
        assert (after["name"], after["version"]) == (winner, version + 1)


def test_the_same_file_uploaded_four_times_at_once_is_there_once(campaign: Make) -> None:
    c = campaign()
    lines = "".join(f'{{"key": "{n}", "data": {{"n": {n}}}, "gold": "cat"}}\n' for n in range(2000)).encode()

    def send(project: Project) -> tuple[int, int, int]:
        done = upload_tasks(project=project, body=io.BytesIO(lines), media_type="application/x-ndjson")
        return done.created, done.already_there, done.gold

    answers = together([partial(send, c.project)] * 4)

    assert sorted(answers) == [(0, 2000, 0)] * 3 + [(2000, 0, 2000)]
    assert Task.objects.filter(project=c.id).count() == 2000


def test_leases_go_on_while_tasks_are_uploaded(campaign: Make) -> None:
    c = campaign(tasks=30, annotators=3)

    def send() -> None:
        for part in range(5):
            c.upload([{"key": f"{part}-{n}", "data": {"n": 100 * part + n}} for n in range(40, 140)])

    def label(annotator: int) -> int:
        member = c.member(annotator)
        done = 0
        for _ in range(20):
            leases, why = lease_tasks(member=member, count=1)
            assert why == "ok", "there are enough tasks for everybody"
            assert submit_votes(member=member, votes=[VoteInput(leases[0].id, "dog")]) == [None]
            done += 1
        return done

    together([send, *(partial(label, annotator) for annotator in range(3))])

    assert Task.objects.filter(project=c.id).count() == 530
    assert Vote.objects.filter(project=c.id).count() == 60
    settle(c.project)
    assert_state_is_fresh(c.project)
