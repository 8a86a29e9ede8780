"""benchmarks/loop.py: its comparison, its stopping rule and its JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from aggregation.core.label_models import LABEL_MODELS
from aggregation.core.policy import Policy
from aggregation.core.queue import PRIORITY_STEPS, Worth, places
from aggregation.core.replay import Replayed
from aggregation.offline.learning import Material
from benchmarks import datasets, loop, loop_more

ROOT = Path(__file__).resolve().parents[2]
KEYS = {"curve", "votes_to_majority", "votes_to_full", "retired_accuracy", "retired_share"}


def test_it_compares_policies_on_the_shipped_votes(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "CROWD_DATASETS"}
    command = [sys.executable, str(ROOT / "benchmarks/loop.py"), "--seeds", "1", "--only", "default,random"]
    done = subprocess.run(
        [*command, "--json", str(tmp_path / "loop.json"), "--plot", str(tmp_path / "loop.svg")],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "votes_to_majority" in done.stdout
    drawn = ElementTree.parse(tmp_path / "loop.svg").getroot()
    assert len(drawn.findall(".//{*}polyline")) == len(drawn.findall(".//{*}polygon")) == 2
    report = json.loads((tmp_path / "loop.json").read_text())
    assert list(report) == ["datasets", "mean"]
    assert list(report["datasets"]["bluebird"]) == list(report["mean"]) == ["default", "random"]
    for figures in (*report["datasets"]["bluebird"].values(), *report["mean"].values()):
        assert set(figures) == KEYS and len(figures["curve"]) == 51
        assert set(figures["curve"][0]) == {"votes_share", "accuracy", "low", "high"}


def test_large_crowds_are_replayed_less_often():
    small = datasets.load(datasets.BLUEBIRD)
    assert loop.seeds_for(small, 20) == range(20)
    many = datasets.Dataset("many", _votes_on(2_001), np.zeros(2_001, np.int32), ())
    assert loop.seeds_for(many, 20) == range(5)


def test_policies_beside_the_default_differ_in_their_order():
    names = loop.policies("default")
    assert list(names) == ["default", "new_project", *loop.OTHERS]
    assert names["entropy"] == names["default"] != names["new_project"] == Policy()
    beside = [each for name, each in names.items() if name not in ("default", "new_project")]
    assert len({(each.order, each.acquisition) for each in beside}) == len(loop.OTHERS)
    assert {each.label_model for each in beside} == {names["default"].label_model}


WORTH = Worth(0.8, 1 - np.eye(2))


def test_activelab_asks_first_where_fewer_have_spoken():
    few, many = places("priority", "activelab", np.full((2, 2), 0.5), np.array([[1, 0], [5, 4]]), WORTH)
    assert few == many == PRIORITY_STEPS, "nothing is known of either"
    sure = np.array([[0.9, 0.1], [0.9, 0.1]])
    one, nine = places("priority", "activelab", sure, np.array([[1, 0], [9, 0]]), WORTH)
    assert one > nine


def test_what_the_stopping_rule_retired_is_compared_with_the_most_it_could():
    data = datasets.load(datasets.BLUEBIRD)
    known = np.zeros(108, np.bool_)
    known[:50] = True
    posterior = np.full((108, 2), 0.5)
    reason = np.full(108, None, object)
    reason[[0, 60, 61, 62]] = "target"
    posterior[[60, 61], data.gold[[60, 61]]], posterior[62, 1 - data.gold[62]] = 0.96, 0.97
    posterior[[60, 61, 62]] /= posterior[[60, 61, 62]].sum(axis=1, keepdims=True)
    replayed = Replayed(np.zeros(1), np.zeros(1), np.arange(421), known, reason, posterior, True)
    found = loop_more._stopped(data, "majority_vote", replayed)
    assert found["right"] == pytest.approx(2 / 3) and found["retired"] == pytest.approx(3 / 58)
    assert found["stated_minus_right"] == pytest.approx(posterior[[60, 61, 62]].max(axis=1).mean() - 2 / 3)
    assert found["votes_used"] == pytest.approx(421 / 4212)


def test_the_learner_measured_is_the_policys_or_the_one_that_suits_the_data():
    texts = Material([{"text": "a"}], ("text",), "text", "items.csv")
    alone, taught = loop_more.arms(Policy(redundancy=3), texts)
    assert alone == Policy(redundancy=3) and taught.learner == "text"
    alone, taught = loop_more.arms(Policy(redundancy=3, learner="sentences"), texts)
    assert alone == Policy(redundancy=3) and (taught.learner, taught.learner_fields) == ("sentences", ("text",))


def test_the_digits_of_the_learners_benchmark_are_read_by_a_simulated_crowd():
    votes, truth, material = loop_more._digits()
    assert len(votes) == loop_more.DIGIT_VOTES * votes.n_tasks == loop_more.DIGIT_VOTES * len(material.payloads)
    assert (LABEL_MODELS["majority_vote"](votes).label == truth).mean() > 0.8
    assert material.with_learner(Policy()).learner == "numeric"


def test_the_lower_limit_of_a_gain_knows_how_many_replays_there_were():
    gain = np.array([[0.0, 1.0], [2.0, 1.0], [1.0, 1.0]])
    np.testing.assert_allclose(loop_more.lower_limit(gain), [1 - 2.919986 / np.sqrt(3), 1.0], rtol=1e-5)
    assert loop_more.lower_limit(gain[:1]) is None


def _votes_on(tasks):
    from aggregation.core.votes import Votes

    return Votes(np.arange(tasks, dtype=np.int32), np.zeros(tasks, np.int32), np.zeros(tasks, np.int32), tasks, 1, 2)
