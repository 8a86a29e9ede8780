"""The way of a vote, from an annotator's click to the label that a downstream team pulls, and to the next question.

    HTTP -> shape (serializer) -> right (access) -> submit_votes(), one transaction -> hint -> refit -> published
    consensus -> feed and export; retraining -> priorities -> the next lease

Read it from top to bottom: each test takes one step in the same campaign and builds on those above it. First what
people do over HTTP (``lease``, ``vote``), then what the database says about it (``Vote.objects``).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from aggregation.models import Consensus, Run
from projects.models import Assignment, Event, LiveModel, Prediction, Skill, TaskPosterior, TaskQueue, TaskState, Vote
from tests.support.client import Client, create_project, join, lease, upload, vote, wait_for

CAT, DOG = 0, 1  # votes store a label's index


@dataclass
class Story:
    """What the steps hand on to each other."""

    manager: Client
    project: int
    ann: Client
    bob: Client
    cem: Client
    assignment: dict[str, Any] = field(default_factory=dict)
    task: int = 0
    cursor: str = ""


@pytest.fixture(scope="module")
def story(manager: Client) -> Iterator[Story]:
    """Six pictures of which only the weight is known. A learner looks on; retraining is asked for below."""
    settings = {"learner": "numeric", "learner_fields": ["weight"], "retrain_after_votes": 1_000_000}
    project = create_project(manager, name="The way of a vote", labels=["cat", "dog"], redundancy=3, **settings)
    upload(manager, project, [{"key": f"picture-{n}", "data": {"weight": 10 * n}} for n in range(6)])
    ann, bob, cem = (join(manager, project, f"{name}-{uuid4().hex[:8]}") for name in ("Ann", "Bob", "Cem"))
    with ann, bob, cem:
        yield Story(manager, project, ann, bob, cem)


@pytest.fixture(autouse=True)
def _database(orm: None) -> None:
    """Every step looks into the database too."""


def test_1_an_annotator_gets_a_task(story: Story) -> None:
    (story.assignment,) = lease(story.ann, story.project)

    # An opaque id, the task's data, the end of the lease: nothing of it tells one task from another.
    assert set(story.assignment) == {"id", "data", "expires_at"}
    # Behind it: a task with one place less …
    assignment = Assignment.objects.get(id=story.assignment["id"])
    story.task = assignment.task_id
    state = TaskState.objects.get(task=story.task)
    assert (assignment.status, state.votes, state.leases, state.redundancy) == ("open", 0, 1, 3)
    # … of which, as of all others, nothing is known yet: it is as urgent as a task can be.
    assert TaskQueue.objects.get(task=story.task).priority == 1000


def test_2_shape_a_request_that_is_not_a_vote_stops_at_the_serializer(story: Story) -> None:
    answer = story.ann.post(
        f"/api/projects/{story.project}/votes",
        {"votes": [{"assignment": story.assignment["id"], "label": "cat", "seconds": -1}]},
    )

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "votes.0.seconds"
    assert not Vote.objects.filter(project=story.project).exists()


def test_3_right_what_is_not_yours_does_not_exist(story: Story) -> None:
    # Somebody who is no member of the project: the project is not there.
    with join(story.manager, create_project(story.manager), f"Stranger-{uuid4().hex[:8]}") as stranger:
        assert vote(stranger, story.project, story.assignment["id"], "cat").status_code == 404
    # A member, with somebody else's assignment: the assignment is not there.
    answer = vote(story.bob, story.project, story.assignment["id"], "cat")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_assignment")
    # An answer that is none of the project's labels.
    answer = vote(story.ann, story.project, story.assignment["id"], "bird")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "votes.0.label")

    assert not Vote.objects.filter(project=story.project).exists()
    assert Assignment.objects.get(id=story.assignment["id"]).status == "open"


def test_4_one_transaction_stores_the_vote_and_all_that_follows_from_it(story: Story) -> None:
    answer = vote(story.ann, story.project, story.assignment["id"], "cat")

    assert answer.status_code == 200
    assert answer.json()["results"] == [{"assignment": story.assignment["id"], "status": "counted"}]
    # The assignment is closed …
    assert Assignment.objects.get(id=story.assignment["id"]).status == "voted"
    # … the vote is there, as canonical JSON and as a label's index …
    stored = Vote.objects.get(project=story.project)
    assert (stored.task_id, stored.answer, stored.label, stored.status) == (
        story.task,
        {"label": "cat"},
        CAT,
        "counted",
    )
    # … the counters have moved from "handed out" to "voted", and the task's version tells refits of it …
    state = TaskState.objects.get(task=story.task)
    assert (state.votes, state.leases, state.version) == (1, 0, 1)
    # … and the posterior is that of one vote: cat, but not for certain, by someone taken to be right 7 times of 10.
    assert state.label == CAT and state.confidence is not None and 0.5 < state.confidence < 1
    assert TaskPosterior.objects.get(task=story.task).posterior[CAT] == pytest.approx(state.confidence)
    assert TaskQueue.objects.get(task=story.task).priority < 1000, "what has a vote is less urgent than what has none"


def test_5_the_event_outlives_the_transaction_until_a_refit_has_seen_it(story: Story) -> None:
    """After commit a hint went to Celery. A hint may get lost: the event says that there is news, until it is seen."""
    wait_for(lambda: not Event.objects.filter(project=story.project).exists(), what="a refit that saw the vote")

    run = Run.objects.filter(project=story.project, kind="refit", status="done").latest("id")
    assert run.counts["votes"] == 1 and run.counts["events"] >= 1


def test_6_a_vote_is_stored_once_however_often_it_is_sent(story: Story) -> None:
    again = vote(story.ann, story.project, story.assignment["id"], "cat")
    assert again.status_code == 200, "whoever lost our answer sends the vote again"

    otherwise = vote(story.ann, story.project, story.assignment["id"], "dog")
    assert (otherwise.status_code, otherwise.json()["code"]) == (409, "vote_conflict")

    assert Vote.objects.get(project=story.project).label == CAT


def test_7_a_vote_brings_the_next_task_and_a_task_can_be_given_back(story: Story) -> None:
    """A repeat is as good as a vote: the answer to either holds what Ann asks for next, in the same round trip."""
    votes = {"votes": [{"assignment": story.assignment["id"], "label": "cat"}]}
    answer = story.ann.ok("POST", f"/api/projects/{story.project}/votes?next=1", votes)

    (following,) = answer["assignments"]
    assert answer["status"] == "ok" and following["data"] != story.assignment["data"]
    # She would rather stop here. Whoever asks next gets it, and it may be she.
    story.ann.ok("POST", f"/api/projects/{story.project}/assignments/{following['id']}/release")
    assignment = Assignment.objects.get(id=following["id"])
    assert (assignment.status, TaskState.objects.get(task=assignment.task_id).leases) == ("released", 0)


def test_8_a_late_vote_counts_as_long_as_nobody_has_its_place(story: Story) -> None:
    """Bob answers after the end of his lease, when the sweeper has given his place on the task to whoever asks."""
    late = next(each for each in lease(story.bob, story.project, 6) if each["data"] == story.assignment["data"])
    Assignment.objects.filter(id=late["id"]).update(expires_at=timezone.now() - timedelta(seconds=1))
    wait_for(lambda: Assignment.objects.filter(id=late["id"], status="expired").exists(), what="the sweeper")
    assert TaskState.objects.get(task=story.task).leases == 0

    assert vote(story.bob, story.project, late["id"], "cat").status_code == 200

    state = TaskState.objects.get(task=story.task)
    assert (state.votes, state.leases, state.version) == (2, 0, 2)
    assert Assignment.objects.get(id=late["id"]).status == "voted"


def test_9_the_last_vote_retires_the_task(story: Story) -> None:
    for annotator in (story.bob, story.cem):
        for assignment in lease(annotator, story.project, 6):
            heavy = assignment["data"]["weight"] >= 30
            assert vote(annotator, story.project, assignment["id"], "dog" if heavy else "cat").status_code == 200

    state = TaskState.objects.get(task=story.task)
    assert (state.votes, state.retired) == (3, "redundancy")
    assert not TaskQueue.objects.get(task=story.task).open
    # The other five go on: Ann has not seen them.
    assert TaskQueue.objects.filter(project=story.project, open=True).count() == 5


def test_10_a_refit_measures_the_annotators_and_publishes_consensus(story: Story) -> None:
    wait_for(lambda: not Event.objects.filter(project=story.project).exists(), what="a refit that saw all votes")

    run = Run.objects.filter(project=story.project, kind="refit", status="done").latest("id")
    assert run.counts["votes"] == Vote.objects.filter(project=story.project).count() == 13
    # Step one made the run current: everybody's skill steers the votes from now on.
    assert LiveModel.objects.get(project=story.project).run == run.id
    assert Skill.objects.filter(project=story.project, run=run.id).count() == 3
    # Step two published each task's label, chunk by chunk: whole rows that name the run which wrote them last.
    published = Consensus.objects.get(task=story.task)
    state = TaskState.objects.get(task=story.task)
    assert (published.label, published.votes, published.retired) == (state.label, 3, "redundancy")
    assert published.confidence == pytest.approx(state.confidence, abs=0.001)
    assert Run.objects.filter(project=story.project, id=published.run_id).exists()


def test_11_consumers_follow_the_feed(story: Story) -> None:
    feed = f"/api/projects/{story.project}/consensus"

    def changes() -> list[dict[str, Any]]:
        """What is new since we last asked."""
        page = story.manager.ok("GET", feed, params={"cursor": story.cursor, "limit": 1000})
        story.cursor = page["next"]
        return list(page["results"])

    labels: dict[str, str] = {}

    def all_labels() -> bool:
        labels.update({row["key"]: row["label"] for row in changes()})
        return len(labels) == 6

    wait_for(all_labels, what="all labels in the feed")
    assert labels == {f"picture-{n}": "dog" if n >= 3 else "cat" for n in range(6)}

    # The cursor has seen it all. One more vote, and the task that changed comes after it.
    wait_for(lambda: not changes(), what="the end of the feed")
    (assignment,) = lease(story.ann, story.project)
    weight = assignment["data"]["weight"]
    assert vote(story.ann, story.project, assignment["id"], "dog" if weight >= 30 else "cat").status_code == 200

    changed = wait_for(changes, what="the change in the feed")
    assert [
        (row["key"], row["votes"], row["retired"]) for row in changed if row["key"] == f"picture-{weight // 10}"
    ] == [(f"picture-{weight // 10}", 3, "redundancy")]


def test_12_or_they_export_all_of_it(story: Story) -> None:
    answer = story.manager.get(f"/api/projects/{story.project}/consensus.csv")

    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["key"] for row in rows] == [f"picture-{n}" for n in range(6)]
    for row in rows:
        assert row["label"] == max(("cat", "dog"), key=lambda label: float(row[f"p_{label}"]))
        assert Run.objects.filter(project=story.project, id=row["run"]).exists()


def test_13_a_retraining_learns_from_the_votes_and_decides_what_is_asked_next(story: Story) -> None:
    # Three more pictures come in, the heaviest first. Nothing is known of them: each is as urgent as a task can be.
    upload(story.manager, story.project, [{"key": f"picture-{n}", "data": {"weight": 10 * n}} for n in (8, 7, 6)])
    new = TaskQueue.objects.filter(project=story.project, task__key__in=["picture-6", "picture-7", "picture-8"])
    assert [queue.priority for queue in new] == [1000, 1000, 1000]

    story.manager.ok("POST", f"/api/projects/{story.project}/retrain")
    run = wait_for(
        lambda: Run.objects.filter(project=story.project, kind="retraining", status="done").first(),
        what="a retraining",
    )

    # The learner has seen consensus from votes only, and predicted every task.
    assert run.counts == {"votes": 14, "trained_on": 6, "predicted": 9, "unreadable": 0}
    assert Prediction.objects.filter(task__project=story.project, run=run.id).count() == 9
    # Its prediction weighs as much as it gained on tasks that it was not trained on: here it gained.
    model = LiveModel.objects.get(project=story.project)
    assert model.learner_run == run.id and model.prediction_weight == run.metrics["prediction_weight"] > 0
    # So it takes the new pictures for dogs, and they are not so urgent any more.
    assert {state.label for state in TaskState.objects.filter(task__in=new.values("task"))} == {DOG}
    assert all(queue.priority < 1000 for queue in new.all())


def test_14_the_most_uncertain_task_comes_next(story: Story) -> None:
    """Whatever put the priorities there, the next lease takes the highest: the circle closes."""
    wait_for(lambda: not Event.objects.filter(project=story.project).exists(), what="the refit after the retraining")
    queue = TaskQueue.objects.filter(project=story.project, open=True).order_by("-priority")
    urgent, *others = queue.values_list("task__key", "priority")

    # Of the new pictures it is the lightest, uploaded last, that may still be a cat.
    assert urgent[0] == "picture-6"
    assert all(priority < urgent[1] for _, priority in others)
    (assignment,) = lease(story.ann, story.project)
    assert assignment["data"]["weight"] == 60
