"""Rules about annotators: of whom a condition holds, why, and what follows."""

from collections.abc import Callable

import pytest

from aggregation.services.rules import apply_rules
from projects.models import Conduct, Confusion, Member, Rule, Sanction, Skill, Vote
from projects.services.sanctions import lift
from tests.services.campaign import Campaign, assert_state_is_fresh

Make = Callable[..., Campaign]


def rule(
    c: Campaign, condition: str, limit: float, *, minimum: int = 10, action: str = "warn", **given: object
) -> Rule:
    return Rule.objects.create(
        project=c.project, condition=condition, limit=limit, minimum=minimum, action=action, **given
    )


def said(c: Campaign) -> dict[str, str]:
    """The reason of every sanction, by annotator."""
    return {row.annotator.name: row.reason for row in Sanction.objects.filter(project=c.project)}


def gold_campaign(make: Make) -> Campaign:
    """Twenty gold tasks: Ann right on all, Ben on twelve."""
    c = make()
    c.upload([{"key": str(n), "data": {"n": n}, "gold": "cat"} for n in range(20)])
    c.import_votes([(str(n), "Ann", "cat") for n in range(20)])
    c.import_votes([(str(n), "Ben", "cat" if n < 12 else "dog") for n in range(20)])
    return c


def test_who_is_surely_worse_on_gold_than_the_limit(campaign: Make) -> None:
    c = gold_campaign(campaign)
    rule(c, "gold_upper_bound", 0.8)

    assert apply_rules(project_id=c.id) == 1

    words = "12 of 20 gold answers right: at most 78.3 % with 95 % confidence, the limit is 80 %."
    assert said(c) == {"Ben": words}
    done = Sanction.objects.get(project=c.project)
    assert (done.action, done.evidence["right"], done.evidence["answers"]) == ("warn", 12, 20)
    assert Member.objects.get(project=c.project, name="Ben").standing == "warned"


def test_who_is_not_surely_as_good_on_gold_as_the_limit(campaign: Make) -> None:
    c = gold_campaign(campaign)
    rule(c, "gold_lower_bound", 0.85, minimum=21)
    assert apply_rules(project_id=c.id) == 0, "too few answers to judge by"
    rule(c, "gold_lower_bound", 0.85)
    assert apply_rules(project_id=c.id) == 1
    assert said(c) == {"Ben": "12 of 20 gold answers right: at least 39.4 % with 95 % confidence, the limit is 85 %."}


def test_what_experts_reviewed_measures_nobody(campaign: Make) -> None:
    c = gold_campaign(campaign)
    c.project.gold.update(origin="review")
    rule(c, "gold_upper_bound", 0.8)
    assert apply_rules(project_id=c.id) == 0


def test_who_answers_faster_than_anybody_can(campaign: Make) -> None:
    c = campaign(tasks=4, annotators=2)
    for n in range(4):
        c.vote(0, "cat", n)
        c.vote(1, "cat", n)
    for annotator, seconds in ((0, (0.2, 0.3, 0.4, 60.0)), (1, (3.0, 3.0, 0.1, 4.0))):
        votes = Vote.objects.filter(annotator=c.annotators[annotator]).order_by("id")
        for vote, value in zip(votes, seconds, strict=True):
            Vote.objects.filter(id=vote.id).update(seconds=value)
    rule(c, "speed", 1.0, minimum=5)
    assert apply_rules(project_id=c.id) == 0
    rule(c, "speed", 1.0, minimum=4, action="pause", pause_hours=2)
    assert apply_rules(project_id=c.id) == 1
    words = "Half of the last 4 answers took less than 0.35 s, the limit is 1 s."
    assert said(c) == {c.annotators[0].name: words}
    assert c.member(0).standing == "paused" and c.member(0).paused_until is not None


def crowd(make: Make, **guesses: Callable[[int], str]) -> Campaign:
    """Sixty tasks, four people who know, and whoever else is named."""
    c = make()
    c.upload([{"key": str(n), "data": {"n": n}} for n in range(60)])
    rows = [(str(n), f"good {a}", "cat" if n % 2 else "dog") for n in range(60) for a in range(4)]
    rows += [(str(n), name, guess(n)) for name, guess in guesses.items() for n in range(60)]
    c.import_votes(rows)
    return c


def test_whose_agreement_guessing_would_explain(campaign: Make) -> None:
    c = crowd(campaign, spammer=lambda n: "cat" if n // 2 % 2 else "dog")
    rule(c, "chance", 0.0, minimum=40, action="block")
    c.refit()
    assert apply_rules(project_id=c.id) == 1
    words = "Agrees with the others on 30 of 60 tasks: at least 38.7 % with 95 % confidence, chance alone is 50 %."
    assert said(c) == {"spammer": words}
    assert Member.objects.get(project=c.project, name="spammer").standing == "blocked"


def test_who_shares_wrong_answers_beyond_chance(campaign: Make) -> None:
    wrong = [n for n in range(60) if n % 5 < 2]

    def copied(n: int) -> str:
        truth = "cat" if n % 2 else "dog"
        return truth if n not in wrong else {"cat": "dog", "dog": "cat"}[truth]

    c = crowd(campaign, one=copied, other=copied)
    rule(c, "copying", 0.5, minimum=10, confidence=0.99)
    c.refit()
    assert apply_rules(project_id=c.id) == 2
    assert set(said(c)) == {"one", "other"}
    assert "of 24 wrong answers with other beyond chance, the limit is 50 %." in said(c)["one"]


@pytest.mark.parametrize(
    ("gold", "agreed", "told"),
    [
        ((20, 8), (30, 30), {"Ben": "on gold"}),  # what is known goes before what others say
        ((20, 8), (10, 50), {"Ben": "on gold"}),
        ((8, 20), (30, 30), {"Ann": "on gold"}),
        ((16, 14), (50, 20), {"Ben": "by agreement with others"}),
        ((0, 0), (20, 50), {"Ann": "by agreement with others"}),
        ((16, 14), (31, 30), {"Ann": None, "Ben": None}),
    ],
)
def test_of_two_who_share_wrong_answers_the_clearly_better_one_is_left_alone(
    campaign: Make, gold: tuple[int, int], agreed: tuple[int, int], told: dict[str, str | None]
) -> None:
    c = campaign()
    c.upload([{"key": str(n), "data": {"n": n}, "gold": "cat"} for n in range(20)])
    for name, right in zip(("Ann", "Ben"), gold, strict=True):
        c.import_votes([(str(n), name, "cat" if n < right else "dog") for n in range(20)])
    people = [Member.objects.get(project=c.project, name=name) for name in ("Ann", "Ben")]
    for who, partner, same in zip(people, people[::-1], agreed, strict=True):
        shared = {"partner": partner, "copied": 0.9, "wrong": 30, "p_value": 0.0001, "run": 1}
        Conduct.objects.create(annotator=who, project=c.project, compared=60, agreed=same, chance=0.5, **shared)
    rule(c, "copying", 0.5)

    assert apply_rules(project_id=c.id) == len(told)

    done = Sanction.objects.filter(project=c.project)
    assert {row.annotator.name: row.evidence["worse"] for row in done} == told
    for row in done:
        assert ("who is clearly better" in row.reason) == (row.evidence["worse"] is not None)


def test_nothing_is_worked_out_that_no_rule_asks_for(campaign: Make) -> None:
    c = crowd(campaign)
    rule(c, "gold_upper_bound", 0.8)
    c.refit()
    assert not Conduct.objects.filter(project=c.project).exists()


def test_a_rule_acts_once_on_each_and_a_lifted_one_stays_lifted(campaign: Make) -> None:
    c = gold_campaign(campaign)
    made = rule(c, "gold_upper_bound", 0.8, action="discard")
    assert [apply_rules(project_id=c.id) for _ in range(2)] == [1, 0]
    assert c.state(19).votes == 1

    lift(sanction=Sanction.objects.get(rule=made), by=None)
    assert apply_rules(project_id=c.id) == 0
    assert c.state(19).votes == 2
    assert Member.objects.get(project=c.project, name="Ben").standing == "active"


def test_a_newcomer_weighs_what_anybody_weighs_until_enough_is_known(campaign: Make) -> None:
    """Three lucky answers buy no weight; from the wanted number of votes on they count as what they are."""
    c = campaign(label_model="dawid_skene", newcomer_votes=4)
    c.upload([{"key": str(n), "data": {"n": n}, **({"gold": "cat"} if n < 3 else {})} for n in range(12)])
    rows = [(str(n), f"old {a}", "cat" if (n + a) % 3 else "dog") for n in range(12) for a in range(4)]
    c.import_votes(
        [
            *rows,
            *((str(n), "new", "cat") for n in range(3)),
        ]
    )
    new = Member.objects.get(project=c.project, name="new")

    c.refit()
    assert set(Skill.objects.filter(project=c.project).values_list("annotator__name", flat=True)) == {
        f"old {a}" for a in range(4)
    }
    assert not Confusion.objects.filter(annotator=new).exists()
    assert_state_is_fresh(c.project)

    c.import_votes([("3", "new", "dog")])
    c.refit()
    assert Skill.objects.filter(annotator=new).exists()
    assert_state_is_fresh(c.project)


def test_a_rule_that_was_ended_judges_nobody(campaign: Make) -> None:
    c = gold_campaign(campaign)
    made = rule(c, "gold_upper_bound", 0.8)
    Rule.objects.filter(id=made.id).update(ended_at=made.created_at)
    assert apply_rules(project_id=c.id) == 0


@pytest.mark.parametrize("role", ["manager"])
def test_managers_are_judged_by_nobody(campaign: Make, role: str) -> None:
    c = gold_campaign(campaign)
    Member.objects.filter(project=c.project, name="Ben").update(role=role)
    rule(c, "gold_upper_bound", 0.8)
    assert apply_rules(project_id=c.id) == 0
