"""What follows from a project's settings."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aggregation.models import Consensus
from aggregation.selectors import statistics_of
from aggregation.services.consensus import read_feed, republish_after_restore
from projects.errors import Invalid
from projects.services import projects
from projects.services.projects import configure_project
from tests.services.campaign import Campaign
from tests.support.client import wait_for

Make = Callable[..., Campaign]
SENTENCES = {"learner": "sentences", "learner_fields": ["text"]}


def configure(c: Campaign, **changes: object) -> None:
    configure_project(project_id=c.id, version=c.fresh().version, changes=changes)


def test_a_tasks_own_redundancy_survives_a_change_of_the_projects(campaign: Make) -> None:
    c = campaign(annotators=1, redundancy=3)
    c.upload([{"data": {"n": 0}}, {"data": {"n": 1}, "redundancy": 7}, {"data": {"n": 2}, "redundancy": 0}])

    configure(c, redundancy=4)

    assert [c.state(n).redundancy for n in range(3)] == [4, 7, 0]


def test_what_is_never_handed_out_is_no_progress_and_gold_no_confidence(campaign: Make) -> None:
    c = campaign(annotators=1, redundancy=1)
    c.upload([{"data": {"n": 0}, "gold": "cat"}, {"data": {"n": 1}}, {"data": {"n": 2}, "redundancy": 0}])
    c.vote(0, "cat", 0)
    c.refit()

    statistics = statistics_of(c.fresh())

    assert (statistics["tasks"], statistics["open"], statistics["progress"]) == (3, 1, 0.5)
    assert statistics["retired"] == {"redundancy": 1}
    assert statistics["mean_confidence"] is None and sum(statistics["confidence_histogram"]) == 0


@pytest.mark.parametrize("label_model", ["majority_vote", "dawid_skene"])
def test_a_label_model_that_is_sure_after_one_vote_may_not_stop_there(campaign: Make, label_model: str) -> None:
    c = campaign(annotators=1, label_model=label_model)
    with pytest.raises(Invalid) as refused:
        configure(c, target_confidence=0.9)
    assert refused.value.errors[0].field == "min_votes"

    configure(c, target_confidence=0.9, min_votes=2)


def test_after_a_restore_the_feed_starts_again(campaign: Make) -> None:
    """Another server counts transactions anew: rows seem to be from its future, and so does a cursor."""
    c = campaign(tasks=2, annotators=1)
    c.vote(0, "cat", 0)
    c.refit()
    beyond = 10**15
    Consensus.objects.filter(project=c.id).update(revision=beyond)
    assert read_feed(project=c.fresh(), revision=0, task=0, limit=10) == []
    with pytest.raises(Invalid, match="restored"):
        read_feed(project=c.fresh(), revision=beyond, task=0, limit=10)

    republish_after_restore()

    (row,) = wait_for(lambda: read_feed(project=c.fresh(), revision=0, task=0, limit=10), what="the row in the feed")
    assert row.label == "cat"


def test_a_learner_whose_package_is_not_installed_is_refused_with_what_to_install(
    campaign: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = campaign(annotators=1, tasks=2)
    configure(c, learner="sentences", learner_fields=["text"])
    monkeypatch.setattr(projects, "find_spec", lambda name: None)
    configure(c, name="Whoever chose it before goes on")
    for settings in ({"learner": "text"}, {"learner": None}):
        configure(c, **settings)

    with pytest.raises(Invalid, match="pip install wordllama") as refused:
        configure(c, learner="sentences")

    assert [(error.field, error.code) for error in refused.value.errors] == [("learner", "not_installed")]
    with pytest.raises(Invalid, match="pip install wordllama"):
        projects.create_project(creator=c.manager, settings={"name": "x", "labels": ["a", "b"], **SENTENCES})
    assert c.fresh().learner is None
