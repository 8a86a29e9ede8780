"""Act 2: the loop. A simulated crowd labels digits over HTTP; the service refits, retrains and chooses what to ask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import httpx
from tqdm import tqdm

from crowd.demo import digits, watching
from crowd.demo.client import Client
from crowd.demo.crowd import Annotator, Campaign, invite_all

MOST_VOTES_A_TASK = 3
BUDGET = 0.6  # of the votes of fixed redundancy
#: Votes between two pauses of the crowd, in which the learner catches up.
BLOCK = 200
SETTINGS = {
    "labels": digits.LABELS,
    "redundancy": MOST_VOTES_A_TASK,
    "target_confidence": 0.9,
    "min_votes": 1,
    "acquisition": "entropy",
    "learner": "numeric",
    "learner_fields": digits.FIELDS,
    "retrain_after_votes": BLOCK,
}

Say = Callable[[str], object]
Figures = dict[str, Any]


@dataclass(frozen=True)
class Point:
    """How far the loop has come after so many votes, and what the learning curve then expects of the next ones."""

    votes: int
    consensus_accuracy: float
    learner_accuracy: float
    forecast: dict[str, float] | None = None


def play(manager: Client, transport: httpx.BaseTransport, seeds: Sequence[int], say: Say) -> Figures:
    say("Act 2: the loop")
    say("1,797 real handwritten digits. THE CROWD IS SIMULATED: 40 annotators, skill drawn from Beta(8, 3), 15 % of")
    say("them spammers who answer at random, 3/8, 4/9 and 1/7 mixed up most; each answer is drawn once by seed.")
    say(
        f"1,497 digits are to be labelled with at most {MOST_VOTES_A_TASK} votes each; {digits.HIDDEN} are never handed"
    )
    say(f"out and measure the learner. After every {BLOCK} votes the crowd waits until the service has retrained.")
    per_seed = [_play_seed(manager, transport, seed, say) for seed in seeds]
    if len(per_seed) > 1:
        _say_means(per_seed, say)
    return {**_together(per_seed), "seeds": per_seed}


def _play_seed(manager: Client, transport: httpx.BaseTransport, seed: int, say: Say) -> Figures:
    data = digits.load(seed)
    fixed_votes = MOST_VOTES_A_TASK * len(data.truth)
    project = manager.ok(
        "POST", "/api/projects", {"name": f"Digits, seed {seed}", "instructions": "Which digit is it?", **SETTINGS}
    )["id"]
    manager.ok("POST", f"/api/projects/{project}/tasks", data.uploads())
    answerers = data.answerers()
    clients = invite_all(manager, project, [f"simulated-{seed}-{a + 1:02}" for a in range(len(answerers))], transport)
    people = [Annotator(client, answer) for client, answer in zip(clients, answerers, strict=True)]
    campaign, curve = _run_loop(manager, project, people, data, budget=int(BUDGET * fixed_votes), title=f"seed {seed}")
    figures = {"seed": seed, "project": project, "leases": campaign.leases, "fixed_votes": fixed_votes}
    figures |= _final_figures(manager, project, data)
    figures |= _other_arms(data, figures["votes"], seed)
    figures["curve"] = [vars(point) for point in curve]
    figures["forecast"] = _forecast(curve)
    _say_seed(figures, curve, say)
    return figures


def _run_loop(
    manager: Client, project: int, people: Sequence[Annotator], data: digits.Digits, *, budget: int, title: str
) -> tuple[Campaign, list[Point]]:
    """Votes in blocks, the learner keeping up, until nobody is asked any more or the budget is spent."""
    curve: list[Point] = []
    with tqdm(total=budget, desc=f"{title}: votes", unit=" votes", disable=None) as bar:
        campaign = Campaign(project, people, bar.update)
        while campaign.votes < budget:
            block = min(BLOCK, budget - campaign.votes)
            if not campaign.round(block, most=block):
                break
            # A retraining is due by itself as soon as a block of votes is new.
            watching.wait_for_retraining(manager, project, campaign.votes - BLOCK + 1)
            curve.append(_measure(manager, project, data, campaign.votes))
            bar.set_postfix_str(
                f"consensus {curve[-1].consensus_accuracy:.1%}, learner {curve[-1].learner_accuracy:.1%}"
            )
    # The campaign is over: the last word of learner and label model.
    manager.ok("POST", f"/api/projects/{project}/retrain", {})
    watching.wait_for_retraining(manager, project, campaign.votes)
    watching.wait_for_consensus(manager, project)
    return campaign, curve


def _measure(manager: Client, project: int, data: digits.Digits, votes: int) -> Point:
    """By what is published at this moment: a label may be a second behind the votes."""
    predicted = watching.predicted(manager, project)
    consensus = watching.published(manager, project)
    return Point(
        votes,
        watching.accuracy(predicted | consensus, data.truth_by_key),
        watching.accuracy(predicted, data.hidden_truth_by_key),
        manager.ok("GET", f"/api/projects/{project}/learning-curve")["forecast"],
    )


def _forecast(curve: Sequence[Point]) -> Figures | None:
    """What the learning curve expected of the last votes that could still be waited for, and what they bought."""
    for now in reversed(curve):
        if now.forecast is None:
            continue
        later = next((point for point in curve if point.votes >= now.votes + now.forecast["votes"]), None)
        if later is not None:
            gained = later.learner_accuracy - now.learner_accuracy
            return {"after": now.votes, **now.forecast, "gained": gained}
    return None


def _final_figures(manager: Client, project: int, data: digits.Digits) -> Figures:
    """From what the service publishes; a digit without votes is answered by the learner, and counted."""
    statistics = watching.statistics(manager, project)
    predicted = watching.predicted(manager, project)
    consensus = watching.published(manager, project)
    rows = watching.tasks(manager, project)
    return {
        "votes": statistics["votes"],
        "consensus_accuracy": watching.accuracy(predicted | consensus, data.truth_by_key),
        "learner_accuracy_unlabelled": watching.accuracy(predicted, data.hidden_truth_by_key),
        "tasks_without_votes": sum(1 for row in rows if row["redundancy"] and not row["votes"]),
        "stopped_at_target": statistics["retired"].get("target", 0),
        "mean_confidence": statistics["mean_confidence"],
        "refits": statistics["refits"],
        "retrainings": statistics["retrainings"],
        "overfilled_tasks": watching.overfilled(rows),
    }


def _other_arms(data: digits.Digits, votes: int, seed: int) -> Figures:
    """Computed with the engine, from the same simulated answers."""
    from crowd.demo import arms

    features = data.features()
    fixed = arms.fixed_majority(data.answers, redundancy=MOST_VOTES_A_TASK, seed=seed)
    at_random = arms.random_order(data.answers, votes, features, most=MOST_VOTES_A_TASK, seed=seed)
    joint = arms.random_order_joint(data.answers, votes, features, most=MOST_VOTES_A_TASK, seed=seed)
    return {
        "fixed_majority_accuracy": fixed.accuracy(data.truth),
        "random_same_votes_accuracy": at_random.accuracy(data.truth),
        "random_same_votes_with_learner_accuracy": joint.accuracy(data.truth),
    }


MEANS = (
    "votes",
    "fixed_votes",
    "consensus_accuracy",
    "fixed_majority_accuracy",
    "random_same_votes_accuracy",
    "random_same_votes_with_learner_accuracy",
    "learner_accuracy_unlabelled",
    "tasks_without_votes",
    "stopped_at_target",
)
SUMS = ("leases", "refits", "retrainings", "overfilled_tasks")


def _together(per_seed: Sequence[Figures]) -> Figures:
    """Means over the seeds; what was done is added up."""
    means = {name: fmean(figures[name] for figures in per_seed) for name in MEANS}
    return means | {name: sum(figures[name] for figures in per_seed) for name in SUMS}


ROW = "  {:<42} {:>6}   {:>7}"


def _say_seed(figures: Figures, curve: Sequence[Point], say: Say) -> None:
    say("")
    say(f"Seed {figures['seed']}:")
    say(ROW.format("", "votes", "correct"))
    for row in _rows(figures):
        say(row)
    say(
        f"  learner alone, on the {digits.HIDDEN} digits nobody was shown: "
        f"{figures['learner_accuracy_unlabelled']:.1%} correct"
    )
    say(f"  {figures['refits']} refits, {figures['retrainings']} retrainings")
    say(
        f"  {figures['stopped_at_target']} digits stopped at the target, {figures['tasks_without_votes']} left to the "
        f"learner, {figures['overfilled_tasks']} with too many votes"
    )
    say("")
    say("   votes  consensus                      learner on the hidden digits")
    for point in curve:
        say(f"  {point.votes:6,}  {_bar(point.consensus_accuracy)}  {_bar(point.learner_accuracy)}")
    if told := figures["forecast"]:
        low, high, gained = (f"{100 * told[name]:+.1f}" for name in ("low", "high", "gained"))
        say("")
        say(f"  After {told['after']:,} votes the learning curve expected that the next {told['votes']:,} teach the")
        say(f"  learner {100 * told['gain']:+.1f} points ({low} to {high}). On the hidden digits it was {gained}.")
    say("")


def _rows(figures: Figures) -> list[str]:
    return [
        ROW.format(name, f"{round(votes):,}", f"{accuracy:.1%}")
        for name, votes, accuracy in (
            ("fixed redundancy 3, majority vote", figures["fixed_votes"], figures["fixed_majority_accuracy"]),
            ("random order, our label model", figures["votes"], figures["random_same_votes_accuracy"]),
            (
                "random order, our label model and learner",
                figures["votes"],
                figures["random_same_votes_with_learner_accuracy"],
            ),
            ("the loop", figures["votes"], figures["consensus_accuracy"]),
        )
    ]


def _bar(share: float, width: int = 20) -> str:
    return f"{'#' * round(share * width):.<{width}} {share:6.1%}"


def _say_means(per_seed: Sequence[Figures], say: Say) -> None:
    say(f"Means of {len(per_seed)} seeds:")
    say(ROW.format("", "votes", "correct"))
    together = _together(per_seed)
    for row in _rows(together):
        say(row)
    say(f"  learner alone, on digits nobody was shown: {together['learner_accuracy_unlabelled']:.1%} correct")
    say("")
