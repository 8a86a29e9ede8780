"""Expert review: which tasks come to the experts, and what becomes of what they decide."""

from collections.abc import Callable

import pytest
from django.db import transaction

from aggregation.services.consensus import read_feed
from aggregation.services.fitting import load_votes
from aggregation.services.reviews import publish_reviews
from projects import queries
from projects.errors import AnswerKnown, NotFound, NothingToUndo, ReviewedMeanwhile, UnknownLabel
from projects.models import Event, Gold, Member, Order, Review, ReviewAction, Role, TaskQueue
from projects.queries import fetch
from projects.review_selectors import review_queue, reviewable_tasks
from projects.services.assignments import skip_assignment
from projects.services.leases import lease_tasks
from projects.services.projects import configure_project
from projects.services.reviews import review_task
from tests.services.campaign import Campaign, assert_counters_are_true, assert_state_is_fresh, unique

Make = Callable[..., Campaign]
LABEL, REOPEN, UNDO = ReviewAction.LABEL, ReviewAction.REOPEN, ReviewAction.UNDO


def expert(c: Campaign) -> Member:
    return Member.objects.select_related("project").get_or_create(
        project=c.project, name="Rita", role=Role.REVIEWER, defaults={"user": None}
    )[0]


def decide(c: Campaign, n: int = 0, *, action: ReviewAction = LABEL, **given: object) -> Review:
    return review_task(reviewer=expert(c), task_id=c.task(n), action=action, **given)  # type: ignore[arg-type]  # mixed values


def queue(c: Campaign) -> list[int]:
    """Numbers of the tasks that wait for an expert, in the order in which they come."""
    ids = [task for _, task in review_queue(c.fresh(), after=None, limit=100)]
    return [task["data"]["n"] for task in reviewable_tasks(c.fresh(), ids)]


def disputed(make: Make, **settings: object) -> Campaign:
    """Two tasks: of the first the votes disagree, of the second they agree."""
    c = make(tasks=2, annotators=4, redundancy=2, flag_below=0.6, **settings)
    c.vote(0, "cat", 0)
    c.vote(1, "dog", 0)
    for annotator in (0, 1):
        c.vote(annotator, "cat", 1)
    return c


def is_open(c: Campaign, n: int = 0) -> bool:
    return TaskQueue.objects.get(task=c.task(n)).open


def test_a_task_whose_votes_leave_it_unsure_goes_to_an_expert(campaign: Make) -> None:
    c = disputed(campaign)
    assert [c.state(n).retired for n in range(2)] == ["disputed", "redundancy"]
    assert queue(c) == [0]
    assert lease_tasks(member=c.member(2), count=5) == ([], "finished"), "nobody else is asked"


def test_refits_and_settings_say_anew_what_is_disputed(campaign: Make) -> None:
    c = disputed(campaign)
    c.refit()
    assert c.state(0).retired == c.consensus(0).retired == "disputed"
    assert queue(c) == [0]

    configure_project(project_id=c.id, version=c.fresh().version, changes={"flag_below": 0.999})
    assert [c.state(n).retired for n in range(2)] == ["disputed", "disputed"]
    assert queue(c) == [0, 1], "the most uncertain first"

    configure_project(project_id=c.id, version=c.fresh().version, changes={"flag_below": None})
    assert [c.state(n).retired for n in range(2)] == ["redundancy", "redundancy"]
    assert queue(c) == []


@pytest.mark.parametrize("order", Order.values)
def test_experts_get_the_least_sure_task_first_whatever_comes_first_to_annotators(campaign: Make, order: str) -> None:
    c = campaign(tasks=4, annotators=5, redundancy=3, flag_below=0.999, max_skips=1, order=order)
    said = {0: "cat cat cat", 1: "cat cat dog", 2: "cat", 3: "cat cat"}
    for n, labels in said.items():
        for annotator, label in enumerate(labels.split()):
            c.vote(annotator, label, n)
    for n in (2, 3):
        skip_assignment(member=c.member(2), assignment_id=c.lease(2, n).id, reason="broken")

    expected = sorted(said, key=lambda n: (c.state(n).confidence, n))
    assert [c.state(n).retired for n in said] == ["disputed", "disputed", "flagged", "flagged"]
    assert expected != sorted(said) and queue(c) == expected
    in_pages: list[int] = []
    after = None
    while page := review_queue(c.fresh(), after=after, limit=1):
        after = page[-1]
        in_pages += [task for _, task in page]
    assert in_pages == [c.task(n) for n in expected], "page by page the same"

    decide(c, expected[0], action=REOPEN)
    c.refit()
    c.vote(4, "dog", expected[0])
    again = [n for n in said if c.state(n).retired in ("disputed", "flagged")]
    assert queue(c) == sorted(again, key=lambda n: (c.state(n).confidence, n)), "as sure as they are by now"


def test_the_experts_queue_is_read_from_its_index_in_order(campaign: Make) -> None:
    c = disputed(campaign)
    position = {"project": c.id, "doubt": 10_000, "task": 0, "limit": 50}
    with transaction.atomic():
        fetch("SET LOCAL enable_seqscan = off")
        plan = "\n".join(line for (line,) in fetch(f"EXPLAIN {queries.REVIEW_QUEUE}", **position))
    assert "queue_review" in plan and "Sort" not in plan


def test_what_was_skipped_is_in_the_queue_with_reasons_and_comments(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=2, max_skips=1)
    skip_assignment(member=c.member(1), assignment_id=c.lease(1).id, reason="broken", comment="No picture")

    assert queue(c) == [0]
    (seen,) = reviewable_tasks(c.fresh(), [c.task(0)])
    assert seen["retired"] == "flagged"
    assert [(skip["reason"], skip["comment"]) for skip in seen["skips"]] == [("broken", "No picture")]


def test_an_experts_answer_is_certain_at_once_and_no_vote_undoes_it(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=3, redundancy=3, flag_below=0.99)
    for annotator in range(3):
        c.lease(annotator)
    c.vote(0, "cat")
    version = c.state(0).version

    decide(c, label="dog", comment="Ears")

    state = c.state(0)
    assert (state.retired, state.label, state.confidence) == ("reviewed", 1, 1.0)
    assert state.version == version + 1, "a refit that has not seen it recomputes the task"
    assert not is_open(c) and queue(c) == []
    gold = Gold.objects.get(task=c.task(0))
    assert (gold.label, gold.origin, gold.inclusion_probability) == (1, "review", None)
    for annotator in (1, 2):
        c.vote(annotator, "cat")
    assert (c.state(0).retired, c.state(0).label) == ("reviewed", 1)
    configure_project(project_id=c.id, version=c.fresh().version, changes={"redundancy": 9, "flag_below": None})
    c.refit()
    assert (c.state(0).retired, c.state(0).confidence) == ("reviewed", 1.0)
    assert_state_is_fresh(c.fresh())


def test_a_review_measures_nobody(campaign: Make) -> None:
    c = disputed(campaign)
    decide(c, label="dog")

    loaded = load_votes(project=c.fresh())

    row = loaded.task_ids.tolist().index(c.task(0))
    assert (loaded.gold[row], loaded.random_gold[row]) == (1, -1)


def test_consumers_are_told_at_once(campaign: Make) -> None:
    c = disputed(campaign)
    run = c.refit()
    assert c.consensus(0).source == "votes"
    before = c.consensus(1).revision

    decide(c, label="dog")
    publish_reviews(project_id=c.id)

    row = c.consensus(0)
    assert (row.label, row.confidence, row.source, row.retired, row.run_id) == (1, 1.0, "review", "reviewed", run.id)
    assert [row.task for row in read_feed(project=c.fresh(), revision=before, task=2**62, limit=9)] == [c.task(0)]
    publish_reviews(project_id=c.id)
    assert c.consensus(0).revision == row.revision, "said once"
    c.refit()
    assert c.consensus(0).source == "review"
    assert not Event.objects.filter(project=c.project).exists()


def test_before_the_first_refit_there_is_no_run_to_name(campaign: Make) -> None:
    c = disputed(campaign)
    decide(c, label="dog")
    publish_reviews(project_id=c.id)
    c.refit()
    assert c.consensus(0).source == "review"


def test_undoing_a_review_brings_back_what_was_there(campaign: Make) -> None:
    c = disputed(campaign)
    before = c.state(0)
    decide(c, label="dog")

    decide(c, action=UNDO, after=1)

    state = c.state(0)
    assert (state.retired, state.label, state.confidence) == ("disputed", before.label, before.confidence)
    assert queue(c) == [0] and not Gold.objects.filter(task=c.task(0)).exists()
    rows = Review.objects.filter(task=c.task(0)).order_by("number").values_list("action", "label_before", "label")
    assert list(rows) == [("label", None, 1), ("undo", 1, None)], "nothing is forgotten"
    with pytest.raises(NothingToUndo):
        decide(c, action=UNDO, after=2)


def test_a_review_that_follows_another_names_it(campaign: Make) -> None:
    c = disputed(campaign)
    decide(c, label="dog")
    with pytest.raises(ReviewedMeanwhile, match="Rita has reviewed"):
        decide(c, label="cat")

    decide(c, label="cat", after=1)
    assert c.state(0).label == 0
    decide(c, action=UNDO, after=2)
    assert (c.state(0).label, c.state(0).retired) == (1, "reviewed"), "the first expert's answer again"


def test_a_reopened_task_collects_more_votes(campaign: Make) -> None:
    c = disputed(campaign)
    decide(c, label="dog")

    decide(c, action=REOPEN, after=1, votes=2)

    assert (c.state(0).retired, c.state(0).redundancy) == (None, 4) and is_open(c)
    configure_project(project_id=c.id, version=c.fresh().version, changes={"redundancy": 3})
    assert c.state(0).redundancy == 4, "whatever the project wants of others"
    c.vote(2, "cat", 0)
    c.vote(3, "cat", 0)
    assert (c.state(0).retired, c.state(0).label) == ("redundancy", 0)
    assert_counters_are_true(c.project)


def test_a_task_that_is_reopened_again_wants_as_many_votes_beyond_those_it_has_by_then(campaign: Make) -> None:
    c = disputed(campaign)
    decide(c, action=REOPEN, votes=1)
    c.vote(2, "cat", 0)
    assert (c.state(0).votes, c.state(0).redundancy) == (3, 3)

    decide(c, action=REOPEN, after=1, votes=2)
    assert (c.state(0).redundancy, c.state(0).own_redundancy) == (5, 5) and is_open(c)

    decide(c, action=UNDO, after=2)
    assert (c.state(0).redundancy, c.state(0).own_redundancy) == (3, 3), "as the first reopening had it"


def test_undoing_a_reopening_takes_the_wish_for_votes_back(campaign: Make) -> None:
    c = disputed(campaign)
    decide(c, label="dog")
    decide(c, action=REOPEN, after=1, votes=2)
    c.vote(2, "cat", 0)

    decide(c, action=UNDO, after=2)

    state = c.state(0)
    assert (state.retired, state.label, state.votes) == ("reviewed", 1, 3)
    assert (state.redundancy, state.own_redundancy) == (3, None), "the vote that came meanwhile stays"


def test_a_flagged_task_is_flagged_again_once_its_review_is_undone(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=2, max_skips=1)
    skip_assignment(member=c.member(0), assignment_id=c.lease(0).id, reason="broken")
    decide(c, label="cat")
    assert c.state(0).retired == "reviewed"

    decide(c, action=UNDO, after=1)

    assert c.state(0).retired == "flagged" and queue(c) == [0]
    c.refit()
    publish_reviews(project_id=c.id)
    assert c.state(0).retired == "flagged"


def test_a_review_withdrawn_from_a_task_without_votes_is_told_to_consumers(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=1)
    decide(c, label="cat")
    c.refit()
    assert c.consensus(0).confidence == 1.0

    decide(c, action=UNDO, after=1)
    c.refit()

    assert (c.consensus(0).votes, c.consensus(0).source, c.consensus(0).retired) == (0, "votes", None)
    assert c.consensus(0).confidence < 0.6


def test_gold_needs_no_expert(campaign: Make) -> None:
    c = campaign(annotators=2, redundancy=2, flag_below=0.99)
    c.upload([{"data": {"n": 0}, "gold": "dog"}])
    for annotator, label in enumerate(("cat", "dog")):
        c.vote(annotator, label, 0)
    assert c.state(0).retired == "disputed", "as any other task with these votes"

    assert queue(c) == []
    with pytest.raises(AnswerKnown):
        decide(c, label="cat")


def test_no_review_of_what_is_not_there(campaign: Make) -> None:
    c, other = campaign(tasks=1), campaign(tasks=1)
    with pytest.raises(NotFound):
        review_task(reviewer=expert(c), task_id=other.task(0), action=LABEL, label="cat")
    with pytest.raises(UnknownLabel):
        decide(c, label=unique("label"))
    with pytest.raises(NothingToUndo):
        decide(c, action=UNDO)
    assert not Review.objects.filter(project=c.project).exists()


def test_the_queue_is_read_page_by_page(campaign: Make) -> None:
    c = campaign(tasks=7, annotators=2, redundancy=2, flag_below=0.99)
    for n in range(7):
        c.vote(0, "cat", n)
        c.vote(1, "dog" if n % 2 else "cat", n)
    assert queue(c)[:3] == [1, 3, 5], "those of the greatest doubt first"

    found, after = [], None
    while page := review_queue(c.fresh(), after=after, limit=2):
        found += page
        after = page[-1]

    assert found == review_queue(c.fresh(), after=None, limit=100)
    assert len(found) == 7
