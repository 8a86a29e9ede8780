"""What a vote is worth, and how far votes disagree, as a project's order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from aggregation.core.acquisition import new_or_relabel, priority, vote_entropy
from aggregation.core.structure import structured
from aggregation.services.placing import place_tasks
from projects.models import LiveModel, TaskQueue
from projects.services.live_model import live_model
from projects.services.projects import configure_project, request_places
from tests.services.campaign import Campaign, recomputed
from tests.services.test_learner_changes import train
from tests.services.test_retraining import learning

Make = Callable[..., Campaign]


def places(c: Campaign) -> dict[int, int]:
    return dict(TaskQueue.objects.filter(project=c.id).values_list("task__data__n", "priority"))


def test_tasks_whose_votes_disagree_come_first_and_known_agreement_last(campaign: Make) -> None:
    c = campaign(tasks=3, annotators=2, acquisition="vote_entropy")
    c.vote(0, "cat", 0)
    c.vote(1, "dog", 0)
    c.vote(0, "cat", 1)

    one_of_two = priority(vote_entropy(np.array([[1.0, 0.0]])))[0]
    assert places(c) == {0: 1000, 1: one_of_two, 2: 1000} and one_of_two < 950
    c.refit()
    assert places(c) == {0: 1000, 1: one_of_two, 2: 1000}


def test_a_retraining_measures_what_one_more_task_teaches_and_places_go_by_it(campaign: Make) -> None:
    c = learning(campaign, votes=10, retrain_after_votes=1_000_000, acquisition="new_or_relabel", redundancy=9)
    run = train(c)
    place_tasks(project_id=c.id)
    model = live_model(project_id=c.id)
    assert model.teaching == run.metrics["teaching"] > 0 and model.worth.teaching > 0

    found = recomputed(c.fresh())
    votes = np.array([task.votes for task in found.values()])
    (confusion,) = structured(np.array([model.pooled_accuracy]), model.errors.T)
    posterior = np.array([task.posterior for task in found.values()])
    expected = priority(new_or_relabel(posterior, votes, confusion, model.worth.teaching))
    lie = dict(TaskQueue.objects.filter(project=c.id).values_list("task", "priority"))
    apart = np.abs(np.array([lie[id_] for id_ in found]) - expected)
    assert (apart <= 10).sum() >= 19, "but for a first one that is unlike the others, before all"

    LiveModel.objects.filter(project=c.id).update(teaching=1e6)
    request_places(project_id=c.id)
    c.refit()
    place_tasks(project_id=c.id)
    voted = {task.task_id for task in found.values() if task.votes}
    lie = dict(TaskQueue.objects.filter(project=c.id).values_list("task", "priority"))
    assert min(lie[id_] for id_ in lie if id_ not in voted) >= max(lie[id_] for id_ in voted)


def test_nobody_else_pays_for_it_and_it_leaves_with_the_learner(campaign: Make) -> None:
    c = learning(campaign, votes=10, retrain_after_votes=1_000_000)
    assert "teaching" not in train(c).metrics
    LiveModel.objects.filter(project=c.id).update(teaching=1.0)
    configure_project(project_id=c.id, version=c.fresh().version, changes={"learner": None, "learner_fields": []})
    assert live_model(project_id=c.id).teaching == 0.0
