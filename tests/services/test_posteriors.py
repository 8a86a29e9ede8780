"""The live path and the refit do the same arithmetic: a refit publishes what a recomputation from the votes gives."""

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from django.db import transaction

from aggregation.core import live
from aggregation.core.acquisition import ACQUISITIONS, priority
from aggregation.models import Consensus
from aggregation.selectors import confusion_of
from aggregation.services.publishing import write
from projects.models import Confusion, LiveModel, Member, Skill, TaskPosterior, TaskQueue, Vote
from projects.queries import from_json
from projects.services.recompute import summarise
from tests.services.campaign import Campaign, assert_state_is_fresh, recomputed

Make = Callable[..., Campaign]


def voted(campaign: Make, *, labels: list[str], tasks: int = 12, gold: int = 3, **settings: object) -> Campaign:
    """A campaign after some forty imported votes of five people, one of whom votes at random; nobody has refitted."""
    c = campaign(labels=labels, annotators=2, redundancy=9, **settings)
    truth = [labels[n % len(labels)] for n in range(tasks)]
    c.upload([{"key": str(n), "data": {"n": n}, **({"gold": truth[n]} if n < gold else {})} for n in range(tasks)])
    dice = random.Random(1)
    rows = [
        (str(n), f"annotator {a}", truth[n] if a and dice.random() < 0.8 else dice.choice(labels))
        for n in range(tasks)
        for a in range(5)
        if (n + a) % 4
    ]
    c.import_votes(rows)
    return c


@pytest.mark.parametrize("label_model", ["dawid_skene", "hierarchical_dawid_skene", "difficulty_dawid_skene", "auto"])
@pytest.mark.parametrize("labels", [["cat", "dog"], ["a", "b", "c", "d"], [f"label {k}" for k in range(20)]])
def test_a_recomputation_after_a_refit_gives_what_was_published(
    campaign: Make, label_model: str, labels: list[str]
) -> None:
    c = voted(campaign, labels=labels, label_model=label_model)
    run = c.refit()

    K = len(labels)
    fresh = recomputed(c.project)
    published = Consensus.objects.filter(project=c.project, run=run.id)
    assert published.count() == 12
    for row in published:
        summary = fresh[row.task_id]
        # Stored sparse beyond 16 labels: both sides go through the same encoding.
        expected = live.decode_posterior(live.encode_posterior(summary.posterior), K)
        np.testing.assert_allclose(live.decode_posterior(row.posterior, K), expected, atol=1e-9)
        assert (row.label, row.votes, row.retired) == (summary.label, summary.votes, summary.retired)
        assert row.confidence == pytest.approx(summary.confidence, abs=1e-9)


@pytest.mark.parametrize("label_model", ["majority_vote", "dawid_skene", "difficulty_dawid_skene"])
def test_state_and_consensus_say_the_same_after_a_refit(campaign: Make, label_model: str) -> None:
    c = voted(campaign, labels=["cat", "dog", "bird"], label_model=label_model)
    c.refit()

    live_rows = {row.task_id: row for row in TaskPosterior.objects.filter(task__project=c.project)}
    for row in Consensus.objects.filter(project=c.project).select_related("task__state"):
        assert from_json(live_rows[row.task_id].posterior) == from_json(row.posterior)
        state = row.task.state
        assert (state.label, state.confidence, state.run) == (row.label, row.confidence, row.run_id)


def test_majority_vote_publishes_the_shares_of_the_votes(campaign: Make) -> None:
    c = voted(campaign, labels=["cat", "dog"], label_model="majority_vote", gold=0)
    c.refit()

    for row in Consensus.objects.filter(project=c.project):
        votes = list(Vote.objects.filter(task=row.task_id).values_list("label", flat=True))
        assert from_json(row.posterior)[1] == pytest.approx(votes.count(1) / len(votes))


def test_a_vote_after_the_refit_is_weighed_with_its_skills(campaign: Make) -> None:
    c = voted(campaign, labels=["cat", "dog", "bird"])
    c.refit()
    before = c.state(5)

    c.vote(0, "bird", 5)

    after = c.state(5)
    assert (after.votes, after.version, after.run) == (before.votes + 1, before.version + 1, before.run)
    assert after.confidence != before.confidence
    assert_state_is_fresh(c.project)


@pytest.mark.parametrize("acquisition", ACQUISITIONS)
def test_the_acquisition_of_the_project_sets_the_priorities(campaign: Make, acquisition: str) -> None:
    c = voted(campaign, labels=["cat", "dog", "bird"], gold=0, acquisition=acquisition)

    def assert_priorities_follow() -> None:
        posteriors = {task: summary.posterior for task, summary in recomputed(c.fresh()).items()}
        expected = {
            name: dict(zip(posteriors, priority(score(np.array(list(posteriors.values())))).tolist(), strict=True))
            for name, score in ACQUISITIONS.items()
        }
        assert (
            dict(TaskQueue.objects.filter(project=c.project).values_list("task", "priority")) == expected[acquisition]
        )
        assert all(expected[name] != expected[acquisition] for name in ACQUISITIONS if name != acquisition)

    c.refit()
    assert_priorities_follow()
    c.vote(0, "bird", 5)
    assert_priorities_follow()


@pytest.mark.parametrize("label_model", ["dawid_skene", "hierarchical_dawid_skene"])
def test_a_confusion_has_a_row_for_each_true_label(campaign: Make, label_model: str) -> None:
    """Eve says dog whatever she sees: right on every dog, wrong on every cat."""
    c = campaign(label_model=label_model)
    truth = ["cat" if n % 2 else "dog" for n in range(40)]
    c.upload([{"key": str(n), "data": {"n": n}, "gold": truth[n]} for n in range(40)])
    c.import_votes([(str(n), who, "dog" if who == "Eve" else truth[n]) for n in range(40) for who in ("Ada", "Eve")])
    c.refit()

    (cat_as_cat, cat_as_dog), (dog_as_cat, dog_as_dog) = confusion_of(
        c.project, Member.objects.get(project=c.project, name="Eve")
    )

    assert cat_as_dog > 0.8 and dog_as_dog > 0.8
    assert cat_as_cat + cat_as_dog == pytest.approx(1) and dog_as_cat + dog_as_dog == pytest.approx(1)


def test_gold_is_certain_whatever_the_votes_say(campaign: Make) -> None:
    c = campaign(annotators=3)
    c.upload([{"data": {"n": 0}, "gold": "dog"}])
    for annotator in range(3):
        c.vote(annotator, "cat")
    assert (c.state(0).label, c.state(0).confidence) == (1, 1.0)

    c.refit()

    row = c.consensus(0)
    assert (row.label, row.confidence, row.votes, row.source) == (1, 1.0, 3, "gold")
    assert from_json(row.posterior) == [0.0, 1.0]


def test_beyond_16_labels_confusions_are_structured_and_posteriors_sparse(campaign: Make) -> None:
    labels = [f"label {k}" for k in range(40)]
    c = voted(campaign, labels=labels, tasks=40)
    c.vote(0, "label 7", 7)

    stored = from_json(TaskPosterior.objects.get(task=c.task(7)).posterior)
    assert set(stored) == {"labels", "p"} and 7 in stored["labels"]

    c.refit()

    assert not Confusion.objects.filter(annotator__project=c.project).exists()
    assert Skill.objects.filter(project=c.project).count() == 6
    sizes = [len(from_json(row.posterior)["labels"]) for row in Consensus.objects.filter(project=c.project)]
    assert max(sizes) <= len(labels)
    assert_state_is_fresh(c.project, within=live.SPARSE_ABOVE)


@pytest.mark.parametrize("labels", [["cat", "dog"], [f"label {k}" for k in range(20)]])
def test_a_refit_of_next_to_nothing_is_a_refit(campaign: Make, labels: list[str]) -> None:
    """No tasks; a task and no vote; one gold task without votes; one vote: each is fitted, none is an error."""
    from projects.services.projects import request_refit

    c = campaign(labels=labels, annotators=1)
    request_refit(project_id=c.id)
    assert c.refit().counts["votes"] == 0
    c.upload([{"data": {"n": 0}}, {"data": {"n": 1}, "gold": labels[1]}])
    assert c.refit().counts["tasks"] == 1
    c.vote(0, labels[0], 0)
    run = c.refit()
    assert (run.status, run.counts["votes"], run.counts["tasks"]) == ("done", 1, 2)
    assert c.consensus(1).source == "gold"


@pytest.mark.parametrize("n_labels", [3, 20])
def test_what_moves_among_the_losing_labels_is_published_too(campaign: Make, n_labels: int) -> None:
    c = campaign(tasks=1, annotators=1, labels=[f"label {n}" for n in range(n_labels)])
    c.vote(0, "label 0")
    run = c.refit()
    summaries, _run = summarise(project=c.fresh(), task_ids=[c.task(0)])
    model = LiveModel.objects.get(project=c.id)

    def publish(*first: float) -> list[float]:
        posterior = np.zeros((1, n_labels))
        posterior[0, : len(first)] = first
        changed = replace(summaries, confidence=np.array([0.6]), posterior=posterior)
        with transaction.atomic():
            write(c.fresh(), run, model, [changed])
        return live.decode_posterior(c.consensus(0).posterior, n_labels).tolist()[:3]

    assert publish(0.6, 0.3, 0.1) == pytest.approx([0.6, 0.3, 0.1])
    assert publish(0.6, 0.1, 0.3) == pytest.approx([0.6, 0.1, 0.3])
    assert publish(0.6, 0.1001, 0.2999) == pytest.approx([0.6, 0.1, 0.3]), "too little to be news"
