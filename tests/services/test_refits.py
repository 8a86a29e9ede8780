"""What a refit leaves behind: kinds of tasks for the vote path, its drift, its notes, and nothing rewritten in vain."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from django.db import transaction

from aggregation.core import live
from aggregation.models import Consensus, Run
from aggregation.selectors import confusion_of, statistics_of
from aggregation.services.current import LabelsChanged, make_current
from aggregation.services.fitting import fit_label_model, load_votes
from aggregation.services.publishing import publish
from aggregation.services.runs import recorded_run
from projects.models import Confusion, LiveModel, Member, PooledError, Skill, TaskPosterior, TaskState, Vote
from projects.queries import fetch
from projects.services import recompute
from projects.services.live_model import _kept as remembered
from projects.services.live_model import live_model
from projects.services.projects import configure_project, request_refit
from tests.concurrency.races import beside, together
from tests.services.campaign import Campaign, assert_state_is_fresh, other_connection
from tests.services.test_posteriors import voted
from tests.support.client import wait_for

Make = Callable[..., Campaign]
KINDS = "difficulty_dawid_skene"


def make_current_again(c: Campaign, **settings: Any) -> None:
    """Step one of a refit with other settings, and no more than that."""
    project = c.fresh()
    for name, value in settings.items():
        setattr(project, name, value)
    loaded = load_votes(project=project)
    fit = fit_label_model(project=project, votes=loaded.votes, gold=loaded.gold)
    with recorded_run(project=project, kind="refit", parameters={}) as run:
        make_current(project=project, run=run, loaded=loaded, fit=fit, calibration=None, report=None)


def test_kinds_of_tasks_are_stored_for_the_vote_path(campaign: Make) -> None:
    c = voted(campaign, labels=["cat", "dog", "bird"], label_model=KINDS)
    c.refit()
    project = c.fresh()
    loaded = load_votes(project=project)
    fit = fit_label_model(project=project, votes=loaded.votes, gold=loaded.gold)

    assert fit.kinds is not None
    assert LiveModel.objects.get(project=c.id).kind_prior == fit.kinds.prior.tolist()
    for a, annotator in enumerate(loaded.annotator_ids.tolist()):
        for voted_, vector in Confusion.objects.filter(annotator=annotator).values_list("voted", "vector"):
            assert vector == fit.kinds.confusion[a, :, :, voted_].ravel().tolist()
    for error in PooledError.objects.filter(project=c.id):
        assert error.confusion == fit.kinds.pooled[:, :, error.voted].ravel().tolist()
    shown = confusion_of(project, Member.objects.get(id=int(loaded.annotator_ids[0])))
    assert fit.confusion is not None
    np.testing.assert_allclose(np.array(shown), fit.confusion[0])


def test_somebody_new_votes_on_hard_tasks_as_everybody_does(campaign: Make) -> None:
    c = voted(campaign, labels=["cat", "dog", "bird"], label_model=KINDS)
    c.refit()
    stored = live.decode_posterior(TaskPosterior.objects.get(task=c.task(5)).posterior, 3)

    c.vote(0, "bird", 5)

    changed = live.decode_posterior(TaskPosterior.objects.get(task=c.task(5)).posterior, 3)
    assert changed[2] > stored[2]
    assert_state_is_fresh(c.project)
    model = LiveModel.objects.get(project=c.id)
    pooled = np.array(PooledError.objects.get(project=c.id, voted=2).confusion)
    known = [
        live.vote_likelihood(label, 3, Confusion.objects.get(annotator=who, voted=label).vector, None, 0.5, np.zeros(3))
        for who, label in Vote.objects.filter(task=c.task(5)).values_list("annotator_id", "label")
        if who != c.annotators[0].id
    ]
    shares = live.kind_shares(np.array(model.kind_prior))
    expected = live.posterior(np.array(model.label_prior), np.array([*known, pooled]), shares)
    np.testing.assert_allclose(changed, expected, atol=1e-9)


@pytest.mark.parametrize(("first", "then"), [("dawid_skene", KINDS), (KINDS, "dawid_skene")])
def test_a_refit_with_other_kinds_between_two_statements_of_a_vote(
    campaign: Make, first: str, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The votes are read, the other refit becomes current, the live model is read: they go together nevertheless."""
    c = voted(campaign, labels=["cat", "dog", "bird"], label_model=first)
    c.refit()
    meanwhile = [partial(make_current_again, c, label_model=then)]

    def live_model_after(**which: Any) -> Any:
        if meanwhile:
            assert together([meanwhile.pop()]) == [None]  # in a session of its own
            remembered.clear()  # by a process that has not seen this project yet
        return live_model(**which)

    monkeypatch.setattr(recompute, "live_model", live_model_after)
    c.vote(0, "bird", 5)

    assert not meanwhile and TaskState.objects.get(task=c.task(5)).run == LiveModel.objects.get(project=c.id).run
    ids = [c.task(5)]
    summaries, _run = recompute.summarise(project=c.fresh(), task_ids=ids)
    stored = live.decode_posterior(TaskPosterior.objects.get(task=ids[0]).posterior, 3)
    np.testing.assert_allclose(stored, summaries.posterior[0], atol=1e-9)


def test_whom_the_fit_does_not_know_is_unknown_again(campaign: Make) -> None:
    c = voted(campaign, labels=["cat", "dog"])
    c.refit()
    known = set(Skill.objects.filter(project=c.id).values_list("annotator_id", flat=True))
    other = voted(campaign, labels=["cat", "dog"])
    other.refit()
    gone = min(known)
    fetch("DELETE FROM projects_vote WHERE annotator_id = %(who)s", who=gone)

    make_current_again(c)

    assert set(Skill.objects.filter(project=c.id).values_list("annotator_id", flat=True)) == known - {gone}
    assert not Confusion.objects.filter(annotator=gone).exists()
    assert Confusion.objects.filter(annotator__project=c.id).count() == 2 * (len(known) - 1)
    assert Skill.objects.filter(project=other.id).exists(), "another project's"
    assert Confusion.objects.filter(annotator__project=other.id).exists()


TABLES = {
    "projects_taskstate": "project_id = %(project)s",
    "projects_taskposterior": "task_id IN (SELECT id FROM projects_task WHERE project_id = %(project)s)",
    "projects_taskqueue": "project_id = %(project)s",
    "aggregation_consensus": "project_id = %(project)s",
    "projects_skill": "project_id = %(project)s",
    "projects_confusion": "annotator_id IN (SELECT id FROM projects_member WHERE project_id = %(project)s)",
}


def rows_of(c: Campaign) -> dict[str, list[tuple[Any, ...]]]:
    """Where each row lies: an update writes it anew, elsewhere."""
    return {
        table: sorted(fetch(f"SELECT ctid::text, xmin::text FROM {table} WHERE {mine}", project=c.id))
        for table, mine in TABLES.items()
    }


@pytest.mark.parametrize("labels", [["cat", "dog", "bird"], [f"label {k}" for k in range(20)]])
def test_a_refit_that_finds_nothing_new_rewrites_nothing(campaign: Make, labels: list[str]) -> None:
    c = voted(campaign, labels=labels)
    c.refit()
    before = rows_of(c)
    assert all(before[table] for table in TABLES if len(labels) <= 16 or table != "projects_confusion")

    request_refit(project_id=c.id)
    run = c.refit()

    assert rows_of(c) == before
    assert LiveModel.objects.get(project=c.id).run == run.id
    drift = run.metrics["drift"]
    assert drift == {"tasks": 0, "relabelled": 0.0, "mean_distance": 0.0, "max_distance": 0.0}, "nobody has voted"


def test_drift_is_how_far_votes_one_by_one_were_from_a_refit_of_them_all(campaign: Make) -> None:
    """Of the tasks they were on: what the others had was no recomputation, and would dilute the figure."""
    c = voted(campaign, labels=["cat", "dog", "bird"], gold=2)
    c.refit()
    for n in range(5):
        c.vote(0, "bird", n)
    c.import_votes([(str(n), "somebody new", "cat") for n in range(6, 12)])
    ids = [c.task(n) for n in (2, 3, 4)]

    def posteriors() -> np.ndarray:
        return np.array([TaskPosterior.objects.get(task=id_).posterior for id_ in ids])

    before = posteriors()
    run = c.refit()

    expected = vars(live.drift(before, posteriors()))
    assert run.metrics["drift"] == pytest.approx(expected)
    assert expected["tasks"] == 3 and expected["mean_distance"] > 0


def test_the_mean_confidence_of_a_run_leaves_gold_out(campaign: Make) -> None:
    c = voted(campaign, labels=["cat", "dog", "bird"], gold=6)
    run = c.refit()
    unsure = [row.confidence for row in Consensus.objects.filter(project=c.id) if row.source != "gold"]
    assert len(unsure) == 6
    assert run.metrics["mean_confidence"] == pytest.approx(sum(unsure) / 6)
    assert statistics_of(c.fresh())["mean_confidence"] == pytest.approx(sum(unsure) / 6)


def test_a_run_tells_of_its_fit_as_soon_as_it_is_current(campaign: Make) -> None:
    """While its rows are published, and if it is killed at that: votes are weighed by it, and its rows are read."""
    c = voted(campaign, labels=["cat", "dog"], label_model=KINDS)
    make_current_again(c)
    assert any("hard" in note for note in statistics_of(c.fresh())["notes"])


def test_what_a_killed_run_has_published_comes_to_name_one_that_is_done(campaign: Make) -> None:
    """Though no figure moves: who looks the run of a label up finds no failure."""
    c = voted(campaign, labels=["cat", "dog", "bird"])
    project = c.fresh()
    loaded = load_votes(project=project)
    fit = fit_label_model(project=project, votes=loaded.votes, gold=loaded.gold)
    killed = Run.objects.create(project=project, kind="refit")
    make_current(project=project, run=killed, loaded=loaded, fit=fit, calibration=None, report=None)
    publish(project=project, run=killed, loaded=loaded, fit=fit)
    before = dict(Consensus.objects.filter(project=c.id).values_list("task_id", "confidence"))

    run = c.refit()

    killed.refresh_from_db()
    assert (killed.status, killed.error) == ("failed", "interrupted")
    assert dict(Consensus.objects.filter(project=c.id, run=run.id).values_list("task_id", "confidence")) == before


def test_labels_that_change_while_a_refit_runs(campaign: Make) -> None:
    """Between fit and step one: a live model of two labels must not come to a project of three."""
    c = campaign(labels=["cat", "dog"], annotators=1)
    project = c.fresh()
    loaded = load_votes(project=project)
    fit = fit_label_model(project=project, votes=loaded.votes, gold=loaded.gold)
    configure_project(project_id=c.id, version=project.version, changes={"labels": ["cat", "dog", "bird"]})
    run = Run.objects.create(project=project, kind="refit")

    with pytest.raises(LabelsChanged):
        make_current(project=project, run=run, loaded=loaded, fit=fit, calibration=None, report=None)

    c.project = c.fresh()
    c.upload([{"data": {"n": 0}}])
    c.vote(0, "bird", 0)
    assert c.refit().status == "done"
    assert c.consensus(0).label == 2


def test_a_change_of_labels_that_has_begun_is_waited_for(campaign: Make) -> None:
    c = campaign(labels=["cat", "dog"], annotators=1)
    project = c.fresh()
    loaded = load_votes(project=project)
    fit = fit_label_model(project=project, votes=loaded.votes, gold=loaded.gold)
    run = Run.objects.create(project=project, kind="refit")

    def change() -> None:
        # Looked for by a third session: within a transaction the list of activities stands still.
        with transaction.atomic(), other_connection(autocommit=True) as looking:
            configure_project(project_id=c.id, version=project.version, changes={"labels": ["cat", "dog", "bird"]})
            changed.set()
            wait_for(lambda: looking.execute(WAITING).fetchone(), what="step one of the refit, waiting for us")

    changed = threading.Event()
    with beside(change):
        assert changed.wait(30)
        with pytest.raises(LabelsChanged):
            make_current(project=project, run=run, loaded=loaded, fit=fit, calibration=None, report=None)

    assert len(LiveModel.objects.get(project=c.id).label_prior) == 3


#: Somebody waits for the row of a project.
WAITING = """
SELECT 1 FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND query LIKE '%projects_project%' AND pid <> pg_backend_pid()
"""


def test_a_run_says_what_was_chosen_and_why(campaign: Make) -> None:
    c = voted(campaign, labels=["cat", "dog"], label_model=KINDS)
    run = c.refit()
    assert run.metrics["method"] == KINDS
    assert any("hard" in note for note in run.metrics["notes"])
    assert run.metrics["iterations"] > 0 and run.metrics["calibration"] is None
    assert Consensus.objects.filter(run=run.id).count() == 12
