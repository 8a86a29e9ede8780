"""The confirm tier: who is shown what, that it is recorded, and what their votes weigh."""

from collections.abc import Callable
from typing import Any

import pytest

from aggregation.selectors import statistics_of
from projects.models import Assignment, Audit, ConfirmConfusion, LiveModel, Prediction
from projects.services import confirming
from projects.services.ballots import VoteInput
from projects.services.leases import Lease, lease_tasks
from projects.services.projects import configure_project
from projects.services.voting import submit_votes, submit_votes_and_lease
from tests.services.campaign import Campaign, assert_state_is_fresh

Make = Callable[..., Campaign]
SURE = [0.95, 0.05]


def confirmed(campaign: Make, *, tasks: int = 20, sure: int = 10, **settings: Any) -> Campaign:
    """Of the first tasks the machine is sure that they are cats; of the others it knows nothing."""
    c = campaign(annotators=3, tasks=tasks, **{"confirm_above": 0.9, "blind_share": 0.01, **settings})
    LiveModel.objects.filter(project=c.project).update(prediction_weight=1.0)
    for n in range(tasks):
        Prediction.objects.create(task_id=c.task(n), posterior=SURE if n < sure else [0.5, 0.5], run=1)
    return c


def leases(c: Campaign, annotator: int = 0, count: int = 20) -> dict[int, Lease]:
    return {lease.data["n"]: lease for lease in lease_tasks(member=c.member(annotator), count=count)[0]}


def always(monkeypatch: pytest.MonkeyPatch, coin: float) -> None:
    """Below the blind share: blind."""
    monkeypatch.setattr(confirming._random, "random", lambda: coin)


def test_people_see_what_the_machine_is_sure_of_and_nothing_else(
    campaign: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = confirmed(campaign)
    always(monkeypatch, 0.5)

    given = leases(c)

    assert {n: lease.suggestion for n, lease in given.items()} == {n: "cat" if n < 10 else None for n in range(20)}
    shown = Assignment.objects.filter(project=c.project, shown=True)
    assert set(shown.values_list("suggestion", flat=True)) == {0} and shown.count() == 10
    assert not Assignment.objects.filter(project=c.project, shown=None).exists()


def test_the_blind_share_is_recorded_with_what_it_would_have_been_shown(
    campaign: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = confirmed(campaign)
    always(monkeypatch, 0.001)
    assert {lease.suggestion for lease in leases(c).values()} == {None}
    blind = Assignment.objects.filter(project=c.project, shown=False, suggestion=0)
    assert blind.count() == 10


def test_what_was_decided_stays_however_often_one_asks(campaign: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    c = confirmed(campaign)
    always(monkeypatch, 0.5)
    before = leases(c)
    always(monkeypatch, 0.001)
    Prediction.objects.filter(task__project=c.project).update(posterior=[0.01, 0.99])
    assert leases(c) == before


def test_audits_are_answered_blind(campaign: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    c = confirmed(campaign, learner="numeric", learner_fields=["n"], auto_label_error=0.05)
    always(monkeypatch, 0.5)
    for n in range(5):
        Audit.objects.create(task_id=c.task(n), project=c.project, probability=0.5, run=1)
    given = leases(c)
    assert {n for n, lease in given.items() if lease.suggestion} == set(range(5, 10))


def test_the_next_task_with_a_vote_comes_with_what_the_machine_says(
    campaign: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = confirmed(campaign)
    always(monkeypatch, 0.5)
    vote = VoteInput(c.lease(0).id, "cat")
    submitted = submit_votes_and_lease(member=c.member(0), votes=[vote], count=3)
    assert submitted.results == [None]
    assert [lease.suggestion for lease in submitted.leases[0]] == ["cat"] * 3


def test_a_project_that_shows_nothing_gives_the_same_leases_as_ever(campaign: Make) -> None:
    c = confirmed(campaign, confirm_above=None)
    assert {lease.suggestion for lease in leases(c).values()} == {None}
    assert not Assignment.objects.filter(project=c.project).exclude(shown=None).exists()


def vote_all(c: Campaign, annotator: int, label: Callable[[int], str]) -> None:
    votes = [VoteInput(lease.id, label(n)) for n, lease in leases(c, annotator, 100).items()]
    assert submit_votes(member=c.member(annotator), votes=votes) == [None] * len(votes)


def followed(campaign: Make, monkeypatch: pytest.MonkeyPatch) -> Campaign:
    """Forty tasks, every other a cat, of all of which the machine says cat. Who sees that follows; two others know."""
    c = confirmed(campaign, tasks=40, sure=40, redundancy=3)
    always(monkeypatch, 0.5)
    vote_all(c, 0, lambda n: "cat")
    always(monkeypatch, 0.001)
    for annotator in (1, 2):
        vote_all(c, annotator, lambda n: "cat" if n % 2 else "dog")
    return c


def test_votes_of_those_who_follow_say_little_and_refit_and_votes_agree_on_that(
    campaign: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = followed(campaign, monkeypatch)
    c.refit()

    rows = ConfirmConfusion.objects.filter(project=c.project, shown=0).order_by("voted")
    saying_cat = rows[0].vector
    assert saying_cat is not None and min(saying_cat[:2]) > 0.7, "cat is what is said to be shown, whatever it is"
    assert c.consensus(0).label == 1 and c.consensus(1).label == 0
    assert_state_is_fresh(c.project)


def test_a_vote_between_refits_weighs_what_the_refit_has_found(campaign: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    c = followed(campaign, monkeypatch)
    c.refit()
    c.upload([{"data": {"n": n}} for n in (40, 41)])
    for n in (40, 41):
        Prediction.objects.create(task_id=c.task(n), posterior=SURE, run=1)
    before = c.state(40).confidence
    always(monkeypatch, 0.5)
    c.vote(0, "cat", 40)
    always(monkeypatch, 0.001)
    c.vote(1, "cat", 41)
    shown, blind = c.state(40), c.state(41)
    assert before is None and shown.confidence is not None and blind.confidence is not None
    assert shown.confidence < blind.confidence
    assert_state_is_fresh(c.project)


def test_anchoring_is_reported_in_points_with_its_interval(campaign: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    c = followed(campaign, monkeypatch)
    found = statistics_of(c.fresh())["confirming"]
    assert (found["shown"], found["shown_agreed"], found["blind"], found["blind_agreed"]) == (40, 40, 80, 40)
    assert found["anchoring"] == pytest.approx(50.0)
    low, high = found["anchoring_interval"]
    assert 30 < low < 50 < high < 65


def test_votes_keep_what_was_shown_when_nothing_is_shown_any_more(
    campaign: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = followed(campaign, monkeypatch)
    configure_project(project_id=c.id, version=c.fresh().version, changes={"confirm_above": None})
    c.refit()
    assert ConfirmConfusion.objects.filter(project=c.project).exists()
    assert_state_is_fresh(c.project)


def test_a_machine_of_no_weight_suggests_nothing_however_low_the_bar(
    campaign: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = confirmed(campaign, confirm_above=0.5)
    LiveModel.objects.filter(project=c.project).update(prediction_weight=0.0)
    always(monkeypatch, 0.5)
    assert {lease.suggestion for lease in leases(c).values()} == {None}
    assert not Assignment.objects.filter(project=c.project).exclude(suggestion=None).exists()
