"""`manage.py backtest` from files to report."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from aggregation.learners import vectors
from tests.offline.support import BLUEBIRD, SMALL, SMALL_GOLD, file

KEYS = {"curve", "votes_to_majority", "votes_to_full", "retired_accuracy", "retired_share"}


def backtest_here(*arguments: str | Path) -> str:
    printed = io.StringIO()
    call_command("backtest", *map(str, arguments), stdout=printed)
    return printed.getvalue()


def test_the_bluebird_votes_are_replayed_under_two_policies(tmp_path: Path) -> None:
    careful = file(tmp_path, "careful.yaml", "target_confidence: 0.95  # once\nmin_votes: 2\ngold: 30\n")
    report, figures = tmp_path / "report.html", tmp_path / "figures.json"
    votes, gold = BLUEBIRD / "votes.csv", BLUEBIRD / "gold.csv"
    told = backtest_here(
        *(votes, "--gold", gold, "--compare", careful, "--seeds", "2", "--out", report, "--json", figures)
    )
    assert "majority vote 0.759, auto 0.898 right" in told
    found = json.loads(figures.read_text())
    assert list(found) == ["datasets", "mean"] and list(found["datasets"]) == ["bluebird"]
    assert list(found["datasets"]["bluebird"]) == list(found["mean"]) == ["default", "careful"]
    for figures_of in (*found["datasets"]["bluebird"].values(), *found["mean"].values()):
        assert set(figures_of) == KEYS
        assert [set(point) for point in figures_of["curve"]] == [{"votes_share", "accuracy", "low", "high"}] * 51
    default, other = found["datasets"]["bluebird"].values()
    assert default["curve"][-1]["accuracy"] == pytest.approx(97 / 108)
    assert default["retired_accuracy"] is None and 0 < other["retired_share"] < 1
    page = report.read_text()
    assert "Its 30 known answers count as right" in page and "None" not in page and "audit_share" not in page
    assert "<polyline" in page and "Retired wrongly" in page and "<script" not in page


def test_without_gold_it_says_that_nobody_knows_what_is_right(tmp_path: Path) -> None:
    told = backtest_here(file(tmp_path, "v.csv", SMALL), "--seeds", "1")
    assert "Without --gold nobody knows what is right" in told


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("redundancy: 3\ntarget: 0.9\n", "line 2: there is no setting 'target'; there are label_model, order"),
        ("redundancy: 3\norder: random\nredundancy: 4\n", "line 3: redundancy is set again, first in line 1"),
        ("order: random\nredundancy: none\n", "line 2: redundancy is 'none'; expected a whole number"),
        ("- order\n", "line 1: expected settings"),
        ("order: [\n", "is not YAML"),
        ("learner_fields: text\n", "line 1: learner_fields is 'text'; expected a list"),
        ("gold: 9\n", "gold is 9; expected fewer than the 3 known answers"),
        ("confirm_above: 0.8\n", "line 1: confirm_above can't be replayed: nobody knows how people would have voted"),
        ("order: random\nauto_label_error: 2\n", "line 2: auto_label_error is 2; expected at least 0.001 and at most"),
        ("auto_label_error: 0.05\n", "auto_label_error is set, but the policy has no learner"),
        ("learner: text\nauto_label_error: 0.05\naudits_by: experts\n", "but --gold has no answer to some tasks"),
        ("learner: text\n", "the learner 'text' needs the tasks' data: give --items or --features"),
        ("learner: remote\n", "a remote learner can't be replayed: nobody knows what it would have said"),
        ("learner: words\n", "learner is 'words'; expected one of embeddings, images"),
        ("gold_share: 0.1\n", "line 1: gold_share can't be replayed: nobody knows who would have been given"),
        ("explore_share: 0\n", "line 1: explore_share is 0; expected at least 0.001 and at most 1"),
    ],
)
def test_a_wrong_policy_is_refused_with_its_line(tmp_path: Path, policy: str, message: str) -> None:
    votes, gold = file(tmp_path, "v.csv", SMALL), file(tmp_path, "g.csv", SMALL_GOLD)
    with pytest.raises(CommandError) as refused:
        backtest_here(votes, "--gold", gold, "--policy", file(tmp_path, "p.yaml", policy))
    assert message in str(refused.value)


def test_gold_that_nobody_voted_on_is_told_by_its_file_and_tasks(tmp_path: Path, capsys: Any) -> None:
    votes = file(tmp_path, "v.csv", SMALL)
    with pytest.raises(CommandError, match=r"other\.csv: nothing can be scored by it\. Nobody voted .*'x1'"):
        backtest_here(votes, "--gold", file(tmp_path, "other.csv", "task,label\nx1,dog\n"))
    some = file(tmp_path, "some.csv", SMALL_GOLD.decode() + "x1,dog\n")
    items = file(tmp_path, "items.csv", "task,text\n")
    report = tmp_path / "r.html"
    backtest_here(votes, "--gold", some, "--items", items, "--seeds", "1", "--out", report)
    said = capsys.readouterr().err
    assert "Warning: 1 gold task of 4 (such as 'x1') has no votes" in said
    assert f"Warning: {items} is not used, for no policy has a learner" in said
    assert "has no votes and is not used" in report.read_text()


def test_a_policy_that_is_no_file_and_no_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="expected a YAML file, or one of: default"):
        backtest_here(file(tmp_path, "v.csv", SMALL), "--policy", tmp_path / "none.yaml")


def test_a_learner_reads_items_or_features(tmp_path: Path) -> None:
    votes, gold = file(tmp_path, "v.csv", SMALL), file(tmp_path, "g.csv", SMALL_GOLD)
    items = file(tmp_path, "items.jsonl", "".join(f'{{"task": "t{n}", "text": "a {n}"}}\n' for n in (4, 3, 2, 1)))
    policy = file(tmp_path, "p.yaml", "learner: text\n")
    assert "p " in backtest_here(votes, "--gold", gold, "--items", items, "--policy", policy, "--seeds", "1")
    sentences = file(tmp_path, "s.yaml", "learner: sentences\n")
    assert "s " in backtest_here(votes, "--gold", gold, "--items", items, "--policy", sentences, "--seeds", "1")
    np.savez(tmp_path / "x.npz", task=np.array(["t1", "t2", "t3", "t4"]), X=np.eye(4))
    numeric = file(tmp_path, "q.yaml", "learner: numeric\n")
    assert "q " in backtest_here(votes, "--features", tmp_path / "x.npz", "--policy", numeric, "--seeds", "1")
    tiers = file(tmp_path, "t.yaml", "learner: numeric\nauto_label_error: 0.05\naudits_by: experts\n")
    told = backtest_here(votes, "--features", tmp_path / "x.npz", "--policy", tiers, "--seeds", "1")
    assert "audits certified nothing, so the machine labelled no task alone" in told
    with pytest.raises(CommandError, match="has no row for task 't1'"):
        few = file(tmp_path, "few.csv", "task,text\nt2,a\n")
        backtest_here(votes, "--items", few, "--policy", policy)
    with pytest.raises(CommandError, match="has no column 'body'; it has text"):
        other = file(tmp_path, "r.yaml", "learner: text\nlearner_fields: [body]\n")
        backtest_here(votes, "--items", items, "--policy", other)


def test_a_learner_whose_package_is_missing_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "find_spec", lambda name: None)
    vectors.vectors.cache_clear()
    votes, policy = file(tmp_path, "v.csv", SMALL), file(tmp_path, "p.yaml", "learner: sentences\n")
    items = file(tmp_path, "items.csv", "task,text\nt1,a\nt2,b\nt3,c\nt4,d\n")
    with pytest.raises(CommandError, match="The learner sentences needs .*: pip install wordllama"):
        backtest_here(votes, "--items", items, "--policy", policy, "--seeds", "1")


def test_what_a_learner_can_not_read_and_what_can_not_be_replayed_is_said(tmp_path: Path, capsys: Any) -> None:
    votes, gold = file(tmp_path, "v.csv", SMALL), file(tmp_path, "g.csv", SMALL_GOLD)
    odd = file(tmp_path, "odd.csv", "task,x\nt1,1\nt2,?\nt3,0\nt4,1\n")
    settings = "learner: numeric\nredundancy: 9\nlabel_model: majority_vote\nflag_below: 0.99\nexplore_share: 0.5\n"
    policy = file(tmp_path, "p.yaml", settings)
    told = backtest_here(votes, "--gold", gold, "--items", odd, "--policy", policy, "--seeds", "1")
    said = capsys.readouterr().err
    assert "Warning: p: the learner can't read 1 task of 4; they have no prediction." in said
    assert "Warning: p: redundancy is 9, but no task has more than" in said
    assert "stayed below 0.99 with all their votes, for an expert" in told and "±" not in told
    empty = file(tmp_path, "empty.csv", 'task,text\nt1,a\nt2,""\nt3,b\nt4,\n')
    text = file(tmp_path, "t.yaml", "learner: text\nlabel_model: majority_vote\ntarget_confidence: 0.9999\n")
    assert " at 0.9999 with " in backtest_here(votes, "--items", empty, "--policy", text, "--seeds", "1")
