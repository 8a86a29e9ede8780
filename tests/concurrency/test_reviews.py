"""Experts and votes at the same moment."""

from collections.abc import Callable
from functools import partial

from projects.errors import ReviewedMeanwhile
from projects.models import Gold, Member, Review, ReviewAction, Role, TaskQueue
from projects.services.ballots import VoteInput
from projects.services.projects import configure_project
from projects.services.reviews import review_task
from projects.services.voting import submit_votes
from tests.concurrency.races import together
from tests.services.campaign import Campaign, assert_state_is_fresh, recomputed, settle

Make = Callable[..., Campaign]
ROUNDS = 4


def experts(c: Campaign, number: int) -> list[Member]:
    made = [Member.objects.create(project=c.project, name=f"Expert {n}", role=Role.REVIEWER) for n in range(number)]
    return list(Member.objects.select_related("project").filter(id__in=[member.id for member in made]))


def test_of_experts_who_decide_at_once_one_does_and_the_others_are_told(campaign: Make) -> None:
    c = campaign(tasks=ROUNDS)
    people = experts(c, 6)
    for n in range(ROUNDS):
        task = c.task(n)

        def decide(expert: Member, label: str, task: int = task) -> str | None:
            try:
                review_task(reviewer=expert, task_id=task, action=ReviewAction.LABEL, label=label)
            except ReviewedMeanwhile:
                return None
            return label

        answers = together([partial(decide, p, ("cat", "dog")[i % 2]) for i, p in enumerate(people)])

        (stored,) = [answer for answer in answers if answer]
        assert Gold.objects.get(task=task).label == ["cat", "dog"].index(stored) == c.state(n).label
        assert Review.objects.filter(task=task).count() == 1


def test_a_review_among_votes_is_what_stays(campaign: Make) -> None:
    """Whichever comes first, the task is as its votes and its expert have it, also once a refit has published."""
    c = campaign(tasks=ROUNDS, annotators=8, redundancy=8)
    (expert,) = experts(c, 1)
    for n in range(ROUNDS):
        leases = [c.lease(a, n) for a in range(8)]
        votes = [partial(submit_votes, member=c.member(a), votes=[VoteInput(leases[a].id, "cat")]) for a in range(8)]
        review = partial(
            review_task, reviewer=expert, task_id=c.task(n), action=ReviewAction.LABEL, label="dog", after=0
        )

        together([*votes, review])

        state = c.state(n)
        assert (state.votes, state.leases, state.label, state.retired) == (8, 0, 1, "reviewed")
    settle(c.project)
    assert_state_is_fresh(c.project)
    assert [c.consensus(n).source for n in range(ROUNDS)] == ["review"] * ROUNDS


def test_settings_that_change_while_everybody_votes_hold_for_every_task(campaign: Make) -> None:
    """A vote that had read the old settings either comes before the change, which sees it, or goes by the new ones."""
    c = campaign(tasks=30, annotators=4, redundancy=4)
    leases = [[c.lease(a, n) for n in range(30)] for a in range(4)]

    def vote(annotator: int) -> None:
        votes = [VoteInput(lease.id, "cat" if lease.data["n"] % 2 else "dog") for lease in leases[annotator]]
        assert submit_votes(member=c.member(annotator), votes=votes) == [None] * 30

    def change() -> None:
        for target in (0.6, None, 0.9, 0.55, 0.8):
            changes = {"target_confidence": target, "flag_below": target}
            configure_project(project_id=c.id, version=c.fresh().version, changes=changes)

    together([*(partial(vote, a) for a in range(4)), change])

    queue = dict(TaskQueue.objects.filter(project=c.project).values_list("task_id", "open"))
    settle(c.project)
    assert_state_is_fresh(c.fresh())
    for task, summary in recomputed(c.fresh()).items():
        assert summary.retired == "redundancy" and not queue[task]
