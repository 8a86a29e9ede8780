"""`manage.py demo` as people run it, once; its parts on the stack that all tests share."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crowd.demo import act1, act2, play
from crowd.demo.recorded import read_crowd
from tests.support.client import Client, lease, sign_in_by_link, vote
from tests.support.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
DEMO = [sys.executable, str(ROOT / "manage.py"), "demo"]
SECONDS = 1500  # a deadline, not a measurement: the machine may be busy


def run_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*DEMO, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    file = tmp_path_factory.mktemp("demo") / "out.json"
    ended = run_demo("--json", str(file))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended, json.loads(file.read_text())


def test_the_real_crowds_consensus_beats_its_majority(demo):
    figures = demo[1]["act1"]
    assert (figures["tasks"], figures["votes"], figures["leases"]) == (108, 4212, 4212)
    assert figures["majority_accuracy"] == pytest.approx(82 / 108)
    assert figures["consensus_accuracy"] >= 0.88
    assert figures["overfilled_tasks"] == 0


def test_the_loop_is_better_with_fewer_votes(demo):
    figures = demo[1]["act2"]
    assert figures["fixed_votes"] == 4491
    assert 0 < figures["votes"] <= 0.6 * figures["fixed_votes"]
    assert figures["leases"] == figures["votes"]
    assert figures["consensus_accuracy"] > figures["fixed_majority_accuracy"]
    assert figures["consensus_accuracy"] >= figures["random_same_votes_accuracy"] + 0.01
    assert figures["learner_accuracy_unlabelled"] >= 0.90
    assert figures["overfilled_tasks"] == 0


def test_refits_and_retrainings_accompanied_the_loop(demo):
    figures = demo[1]["act2"]
    assert figures["refits"] > 0
    # One after every block of votes, one at the end: the learner kept up.
    assert figures["retrainings"] >= figures["votes"] // act2.BLOCK
    (seed,) = figures["seeds"]
    assert [point["votes"] for point in seed["curve"]] == sorted(point["votes"] for point in seed["curve"])
    assert seed["curve"][-1]["votes"] == figures["votes"]


def test_a_backtest_forecasts_what_fewer_votes_cost(demo):
    figures = demo[1]["act3"]
    forecast = figures["forecast"]
    assert 6 * 108 <= figures["votes"] <= 12 * 108 and figures["overfilled_tasks"] == 0
    assert 6 * 108 <= forecast["votes"] <= 12 * 108
    assert forecast["agreement"] == pytest.approx(figures["agreement"], abs=0.15)


def test_the_machine_labels_alone_what_audits_have_certified(demo):
    figures = demo[1]["act4"]
    assert figures["certified"] and figures["bound"] <= 0.05, figures["says"]
    assert 200 < figures["labelled_alone"] < figures["arrived"] and figures["audits"] >= 71
    assert figures["wrong"] <= 0.05 * figures["labelled_alone"]


def test_what_is_printed_tells_of_the_simulation_and_the_figures(demo):
    ended, figures = demo
    assert "THE CROWD IS SIMULATED" in ended.stdout
    assert f"{figures['act2']['consensus_accuracy']:.1%}" in ended.stdout
    told = figures["act2"]["seeds"][0]["forecast"]
    assert f"After {told['after']:,} votes the learning curve expected" in ended.stdout
    assert "what happened" in ended.stdout and "wrong at most, as is certified" in ended.stdout
    assert "HTTP Request" not in ended.stderr


def test_a_recorded_crowd_is_imported(manager: Client, tmp_path: Path):
    votes, gold = tmp_path / "votes.csv", tmp_path / "gold.csv"
    lines = [f"{task},{worker},{'yes' if task % 2 else 'no'}" for task in range(20) for worker in "abc"]
    lines += [f"{task},spammer,yes" for task in range(20)] + ["0,a,yes"]
    votes.write_text("\n".join(["task,worker,label", *lines]))
    gold.write_text("\n".join(["task,label", *(f"{task},{'yes' if task % 2 else 'no'}" for task in range(10))]))
    said: list[str] = []
    figures = act1.play_import(manager, read_crowd(votes, gold), "votes.csv", said.append)
    assert (figures["tasks"], figures["votes"], figures["annotators"], figures["gold"]) == (20, 80, 4, 10)
    assert figures["majority_accuracy"] == figures["consensus_accuracy"] == 1.0
    assert figures["overfilled_tasks"] == 0
    without_gold = act1.play_import(manager, read_crowd(votes), "votes.csv", said.append)
    assert without_gold["consensus_accuracy"] is None
    assert "nobody can say how accurate" in said[-1]


def test_a_newcomer_finds_a_digit_to_label(manager: Client, stack: Stack):
    project = play.open_for_newcomers(manager)
    with sign_in_by_link(play.fresh_sign_in_link(stack.home)) as newcomer:
        (given,) = lease(newcomer, project)
        assert len(given["data"]["pixels"]) == 64
        assert vote(newcomer, project, given["id"], "7").status_code == 200


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--gold", "gold.csv"], "--gold says what is true of --votes: give both"),
        (["--votes", "nowhere.csv"], "nowhere.csv: can't be read"),
        (["--json", "nowhere/out.json"], "there is no directory"),
        (["--seeds", "0"], "must be a whole number from 1"),
    ],
)
def test_a_bad_wish_is_refused_before_anything_starts(arguments: list[str], says: str):
    ended = run_demo(*arguments)
    assert ended.returncode != 0
    assert says in ended.stderr
    assert "Starting" not in ended.stdout and "Traceback" not in ended.stderr


def test_the_verdict_names_what_did_not_happen():
    done = {"seed": 0, "leases": 1, "votes": 1, "refits": 1, "retrainings": 1}
    figures = {"act1": {"overfilled_tasks": 0}, "act2": {"overfilled_tasks": 0, "seeds": [done]}}
    assert play.what_is_missing(figures) == []
    figures["act2"] = {"overfilled_tasks": 2, "seeds": [{**done, "retrainings": 0}]}
    assert play.what_is_missing(figures) == [
        "seed 0: no retrainings happened",
        "act2: 2 tasks got more votes than their redundancy",
    ]
