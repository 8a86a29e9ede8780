"""Names become indices; repeats, gold and oddities are counted, or refused with their place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aggregation.offline import crowd as crowds
from aggregation.offline.crowd import Crowd, read_crowd
from aggregation.offline.files import BadFile, source
from tests.offline.support import HEADER, file, votes_csv


def crowd_of(folder: Path, votes: bytes, gold: bytes | None = None, **wishes: Any) -> Crowd:
    known = None if gold is None else source(str(file(folder, "gold.csv", b"task,label\n" + gold)))
    return read_crowd(source(str(file(folder, "votes.csv", votes))), known, **wishes)


def labels_of(folder: Path, *labels: str, **wishes: Any) -> list[str]:
    """The labels of a crowd in which annotator w gave these, in this order."""
    return crowd_of(folder, votes_csv(*((str(i), "w", label) for i, label in enumerate(labels))), **wishes).labels


def named(crowd: Crowd) -> list[tuple[str, str, str]]:
    votes = crowd.votes
    rows = zip(votes.task, votes.annotator, votes.label, strict=True)
    return [(crowd.tasks[int(t)].as_py(), crowd.annotators[a], crowd.labels[k]) for t, a, k in rows]


def test_votes_keep_their_order_and_names_are_numbered_as_they_appear(tmp_path: Path) -> None:
    rows = [("z", "w2", "no"), ("a", "w1", "yes"), ("z", "w1", "no")]
    crowd = crowd_of(tmp_path, votes_csv(*rows))
    assert named(crowd) == rows
    assert (crowd.tasks.to_pylist(), crowd.annotators) == (["z", "a"], ["w2", "w1"])
    assert (crowd.repeated, crowd.conflicting, crowd.gold, crowd.warnings) == (0, 0, None, ())


def test_of_repeated_votes_the_first_counts(tmp_path: Path) -> None:
    rows = [("b", "w", "x"), ("a", "w", "x"), ("a", "v", "y"), ("a", "w", "y"), ("a", "w", "x"), ("b", "w", "y")]
    crowd = crowd_of(tmp_path, votes_csv(*rows))
    assert named(crowd) == rows[:3]
    assert (crowd.repeated, crowd.conflicting) == (3, 2)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["b", "a", "B"], ["B", "a", "b"]),
        (["10", "9", "-1", "1.5"], ["-1", "1.5", "9", "10"]),
        (["10", "9", "nine"], ["10", "9", "nine"]),
        (["true", "false"], ["false", "true"]),
        (["1", "1.0", "0"], ["0", "1", "1.0"]),
        (["1_0", "9"], ["1_0", "9"]),
        (["inf", "1"], ["1", "inf"]),
    ],
)
def test_labels_are_ordered_by_value_or_as_texts_whatever_came_first(
    tmp_path: Path, given: list[str], expected: list[str]
) -> None:
    assert labels_of(tmp_path, *given) == expected
    assert labels_of(tmp_path, *reversed(given)) == expected


def test_the_order_of_labels_may_be_given(tmp_path: Path) -> None:
    order = ["low", "medium", "high"]
    assert labels_of(tmp_path, "high", "low", labels=order, ordinal=True) == order


def test_labels_in_order_must_be_numbers_or_given(tmp_path: Path) -> None:
    assert labels_of(tmp_path, "10", "9", ordinal=True) == ["9", "10"]
    with pytest.raises(BadFile, match="label 'high' is not a number; give the order of all labels with --labels"):
        labels_of(tmp_path, "1", "high", ordinal=True)


def test_a_label_that_was_not_given_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"votes.csv line 4: label 'lo' is none of those in --labels"):
        labels_of(tmp_path, "low", "high", "lo", labels=["low", "high"])
    with pytest.raises(BadFile, match=r"gold.csv line 3: label 'hi' is none"):
        crowd_of(tmp_path, votes_csv(("a", "w", "x")), b"zz,other\na,hi\n", labels=["x"])


def test_gold_is_known_of_voted_tasks_and_counted_for_the_others(tmp_path: Path) -> None:
    votes = votes_csv(("a", "w", "x"), ("b", "w", "y"), ("c", "w", "x"))
    crowd = crowd_of(tmp_path, votes, b"c,y\nnew,odd\na,x\na,x\nnewer,x\n")
    assert crowd.gold is not None
    assert (crowd.gold.label.tolist(), crowd.gold.unseen) == ([0, -1, 1], 2)
    assert crowd.labels == ["x", "y"]  # the gold of a task that nobody voted on adds no label


def test_a_gold_label_that_nobody_voted_counts_as_a_label(tmp_path: Path) -> None:
    crowd = crowd_of(tmp_path, votes_csv(("a", "w", "x"), ("b", "w", "z")), b"a,y\n")
    assert crowd.labels == ["x", "y", "z"]
    assert crowd.gold is not None and crowd.gold.label.tolist() == [1, -1]
    assert any("Nobody voted 'y'" in warning for warning in crowd.warnings)


@pytest.mark.parametrize(("voted", "gold"), [("1", "1.0"), ("Cat", "cat "), ("é", "e\u0301")])
def test_gold_spelt_otherwise_than_it_is_voted_is_refused_with_its_line(tmp_path: Path, voted: str, gold: str) -> None:
    votes, known = votes_csv(("a", "w", voted), ("b", "w", "x")), f"b,x\na,{gold}\n".encode()
    with pytest.raises(BadFile, match=rf"gold.csv line 3: label '{gold}' looks like '{voted}', which is how it was"):
        crowd_of(tmp_path, votes, known)
    assert crowd_of(tmp_path, votes, known, labels=[voted, gold, "x"]).labels == [voted, gold, "x"]
    both = votes_csv(("a", "w", voted), ("b", "w", "x"), ("c", "w", f'"{gold}"'))
    assert len(crowd_of(tmp_path, both, known).labels) == 3


@pytest.mark.parametrize(
    ("gold", "said"),
    [
        (b"p,x\nq,y\n", "Nobody voted on any of the 2 tasks with gold (such as 'p', 'q'), so gold is not used"),
        (b"a,x\nq,y\n", "1 gold task of 2 (such as 'q') has no votes and is not used."),
        (b"a,x\np,y\nq,y\n", "2 gold tasks of 3 (such as 'p', 'q') have no votes and are not used."),
        (b"a,yes\nb,no\n", "Nobody voted any of the labels of gold ('no', 'yes'); the votes say 'x', 'y'."),
    ],
)
def test_gold_that_seems_to_be_of_something_else_is_pointed_out_first(tmp_path: Path, gold: bytes, said: str) -> None:
    crowd = crowd_of(tmp_path, votes_csv(("a", "w", "x"), ("b", "v", "y")), gold)
    assert crowd.warnings[0].startswith(said), crowd.warnings


def test_gold_that_contradicts_itself_in_parquet_is_refused_with_both_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"task": ["b", "a", "a"], "label": ["x", "x", "y"]}), tmp_path / "gold.parquet")
    votes = source(str(file(tmp_path, "votes.csv", votes_csv(("b", "w", "x")))))
    said = r"row 3 \(counted from 1\): gold of task 'a' is 'y', but 'x' in row 2 \(counted from 1\); keep one"
    with pytest.raises(BadFile, match=said):
        read_crowd(votes, source(str(tmp_path / "gold.parquet")))


def test_gold_that_contradicts_itself_is_refused_with_both_lines(tmp_path: Path) -> None:
    gold = b'b,x\na,x\n"new\nline",y\na,x\na,y\n'
    with pytest.raises(BadFile, match=r"gold.csv line 7: gold of task 'a' is 'y', but 'x' in line 3; keep one"):
        crowd_of(tmp_path, votes_csv(("b", "w", "x")), gold)


@pytest.mark.parametrize(
    ("votes", "said"),
    [
        ([("a", "w", "x"), ("a", "v", "x")], "All votes say 'x'"),
        ([("a", "w", "x"), ("b", "w", "y")], "All votes are of one annotator"),
        ([("a", "w", "Cat"), ("a", "v", "cat")], "alike, to be merged if they are one: 'Cat', 'cat'."),
        ([("a", "w", "café"), ("a", "v", "cafe\u0301")], "looking alike"),
        ([("a", "w", " x"), ("a", "v", "x")], "looking alike, to be merged if they are one: ' x', 'x'"),
        ([("a", "w", "1"), ("a", "v", "1.0")], "looking alike, to be merged if they are one: '1', '1.0'"),
        ([("a", "w", "NaN"), ("a", "v", "x"), ("b", "w", "NaN")], "2 votes have the label 'NaN'"),
        ([("a", "null", "y"), ("a", "v", "x")], "1 vote has the worker 'null'"),
        ([("N/A", "w", "y"), ("a", "v", "x")], "1 vote has the task 'N/A'"),
    ],
)
def test_oddities_are_kept_and_pointed_out(tmp_path: Path, votes: list[tuple[str, str, str]], said: str) -> None:
    crowd = crowd_of(tmp_path, votes_csv(*votes))
    assert named(crowd) == votes
    assert [warning for warning in crowd.warnings if said in warning], crowd.warnings


def test_free_text_is_pointed_out(tmp_path: Path) -> None:
    votes = votes_csv(*((str(i), f"w{i % 3}", f"sentence {i}") for i in range(60)))
    assert any("60 different labels in 60 votes" in warning for warning in crowd_of(tmp_path, votes).warnings)


def test_an_ordinary_crowd_is_not_warned_of(tmp_path: Path) -> None:
    assert crowd_of(tmp_path, votes_csv(("a", "w", "x"), ("a", "v", "y"))).warnings == ()


def test_a_column_of_too_many_labels_is_refused_before_memory_runs_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crowds, "MAX_CELLS", 99)
    assert len(labels_of(tmp_path, *map(str, range(9)))) == 9
    with pytest.raises(BadFile, match="10 tasks with 10 different labels .* is this the right column"):
        labels_of(tmp_path, *map(str, range(10)))


def test_a_column_of_too_many_annotators_is_refused_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowds, "MAX_RATES", 39)
    votes = [(f"t{i}", f"w{i}", "xy"[i % 2]) for i in range(10)]
    assert len(crowd_of(tmp_path, votes_csv(*votes[:9])).annotators) == 9
    with pytest.raises(BadFile, match="10 votes by 10 annotators with 2 labels .* --columns worker=name"):
        crowd_of(tmp_path, votes_csv(*votes))


def test_columns_may_be_called_otherwise_in_each_file(tmp_path: Path) -> None:
    crowd = crowd_of(
        tmp_path,
        HEADER.replace(b"task", b"item") + b"a,w,x\nb,w,y\n",
        b"a,y\n",
        columns={"task": "item"},
        gold_columns={"task": "task"},
    )
    assert crowd.gold is not None and crowd.gold.label.tolist() == [1, -1]
