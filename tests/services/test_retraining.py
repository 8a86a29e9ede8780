"""When a retraining is due, what it changes, and what becomes of one that fails."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from aggregation.models import LearnerArtefact, Run
from aggregation.services.retrain import retraining_due
from projects.errors import Conflict
from projects.models import LiveModel, Prediction, Project, TaskQueue, Vote
from projects.services.projects import request_retraining
from tests.services.campaign import Campaign, assert_state_is_fresh

Make = Callable[..., Campaign]


def learning(campaign: Make, *, votes: int = 10, tasks: int = 20, **settings: object) -> Campaign:
    """Numbers below ten are cats, the others dogs; the learner sees the number. Refitted after ``votes`` votes."""
    settings = {"learner": "numeric", "learner_fields": ["n"], "retrain_after_votes": 10, **settings}
    c = campaign(annotators=2, **settings)
    c.upload([{"key": str(n), "data": {"n": n}} for n in range(tasks)])
    more_votes(c, "Ada", votes)
    return c


def more_votes(c: Campaign, worker: str, votes: int, tasks: int = 20) -> None:
    rows = [(str(n), worker, "cat" if n < tasks / 2 else "dog") for n in range(0, tasks, max(1, tasks // votes))]
    c.import_votes(rows[:votes])
    c.refit()


def is_due(c: Campaign) -> bool:
    return retraining_due(project_id=c.id) == [c.id]


def test_due_by_votes_since_the_last_retraining(campaign: Make) -> None:
    c = learning(campaign, votes=5)
    assert not is_due(c), "five of the ten votes"
    more_votes(c, "Bob", 5)
    assert is_due(c)

    run = c.retrain()

    assert run is not None and run.status == "done" and run.counts["votes"] == 10
    assert not is_due(c) and c.retrain() is None
    more_votes(c, "Cem", 10)
    assert is_due(c)


def test_due_by_minutes_if_there_is_any_new_vote(campaign: Make) -> None:
    c = learning(campaign, votes=5, retrain_after_minutes=30)
    an_hour_ago = timezone.now() - timedelta(hours=1)
    Project.objects.filter(id=c.id).update(created_at=an_hour_ago)
    assert is_due(c)
    run = c.retrain()
    assert run is not None

    Run.objects.filter(id=run.id).update(started_at=an_hour_ago)
    assert not is_due(c), "nothing new since"
    more_votes(c, "Bob", 1)
    assert is_due(c)
    Run.objects.filter(id=run.id).update(started_at=timezone.now())
    assert not is_due(c), "too early"


def test_due_on_request_and_only_once(campaign: Make) -> None:
    c = learning(campaign, votes=5)
    request_retraining(project_id=c.id)
    assert is_due(c)

    assert c.retrain() is not None

    assert c.fresh().retrain_requested_at is None and not is_due(c)


def test_a_project_without_learner_is_never_due(campaign: Make) -> None:
    c = learning(campaign, votes=20, learner=None)
    assert not is_due(c)
    with pytest.raises(Conflict):
        request_retraining(project_id=c.id)


def test_it_predicts_every_task_and_sets_its_priority(campaign: Make) -> None:
    c = learning(campaign, votes=10)
    before = dict(TaskQueue.objects.filter(project=c.project).values_list("task__data__n", "priority"))

    run = c.retrain()

    assert run is not None and run.counts == {"votes": 10, "trained_on": 10, "predicted": 20, "unreadable": 0}
    newest = Vote.objects.filter(project=c.project).latest("id").id
    assert run.parameters["watermark"] == {"votes": 10, "newest_vote": newest} and run.parameters["seed"] == 0
    assert run.metrics["promoted"] and run.progress == 1.0
    assert Prediction.objects.filter(task__project=c.project, run=run.id).count() == 20
    assert LearnerArtefact.objects.get(run=run).sha256
    assert LiveModel.objects.get(project=c.project).learner_run == run.id
    after = dict(TaskQueue.objects.filter(project=c.project).values_list("task__data__n", "priority"))
    unvoted = list(range(1, 20, 2))
    assert {before[n] for n in unvoted} == {1000}, "nothing is known of a task without votes"
    assert run.metrics["prediction_weight"] > 0, "half of the tasks with votes suffice to predict the others"
    assert after[1] < after[9], "the learner is surer of a 1 than of a 9"
    assert_state_is_fresh(c.project)
    c.refit()
    assert_state_is_fresh(c.project)


def test_a_learner_that_cannot_read_the_tasks_fails_readably_and_harms_nothing(campaign: Make) -> None:
    c = learning(campaign, votes=10, learner_fields=["weight"])
    request_retraining(project_id=c.id)

    with pytest.raises(ValueError, match="weight"):
        c.retrain()

    failed = Run.objects.get(project=c.project, kind="retraining")
    assert failed.status == "failed" and failed.finished_at is not None
    assert "weight" in failed.error and "Traceback" not in failed.error
    # Voting and refitting go on …
    c.vote(0, "cat")
    assert c.refit().status == "done"
    # … and it is not tried again before there is something new to learn from.
    assert not is_due(c) and c.retrain() is None
    more_votes(c, "Bob", 10)
    assert is_due(c)


def test_a_request_without_a_single_vote_fails_once(campaign: Make) -> None:
    c = learning(campaign, votes=1)
    c2 = campaign(learner="numeric", learner_fields=["n"], tasks=3)
    assert c.id != c2.id
    request_retraining(project_id=c2.id)

    with pytest.raises(ValueError, match="no votes"):
        c2.retrain()

    assert not is_due(c2)


def test_votes_for_one_label_only_are_enough_to_go_on(campaign: Make) -> None:
    c = campaign(learner="numeric", learner_fields=["n"], tasks=6, annotators=1)
    c.vote(0, "cat", 0)
    c.refit()
    request_retraining(project_id=c.id)

    run = c.retrain()

    assert run is not None and run.status == "done" and run.counts["trained_on"] == 1
    assert_state_is_fresh(c.project)


def test_a_run_that_was_killed_is_marked_by_the_next(campaign: Make) -> None:
    c = learning(campaign, votes=10)
    killed = [Run.objects.create(project=c.project, kind=kind) for kind in ("refit", "retraining")]

    more_votes(c, "Bob", 1)
    done = c.retrain()

    for run in killed:
        run.refresh_from_db()
        assert (run.status, run.error) == ("failed", "interrupted") and run.finished_at is not None
    assert done is not None and done.status == "done"
