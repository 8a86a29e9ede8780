"""Recorded crowds from files: the one that comes with the demo, and those that people bring."""

import gzip
from pathlib import Path

import pytest

from crowd.demo.recorded import BLUEBIRD, BadFile, bluebird, read_crowd

VOTES = "task,worker,label\na,x,cat\na,y,dog\nb,x,dog\n"


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str | bytes, name: str = "votes.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_bluebird_is_complete_and_carries_its_licence():
    crowd = bluebird()
    assert (len(crowd.tasks), len(crowd.workers), len(crowd.votes), len(crowd.gold)) == (108, 39, 4212, 108)
    assert len({(task, worker) for task, worker, _ in crowd.votes}) == 4212
    assert crowd.labels == ["0", "1"]
    licence = (BLUEBIRD / "LICENSE").read_text()
    assert "Copyright (c) 2011-2012 Peter Welinder" in licence
    assert "NO EXPRESS OR IMPLIED LICENSES TO ANY PARTY'S PATENT RIGHTS ARE" in licence
    assert "welinder/cubam" in (BLUEBIRD / "README.md").read_text()


def test_majority_vote_is_right_on_82_of_bluebirds_108_photographs():
    crowd = bluebird()
    majority = crowd.majority()
    assert sum(majority[task] == label for task, label in crowd.gold.items()) == 82


def test_a_gzipped_file_and_a_byte_order_mark_are_read(write):
    plain = read_crowd(write(VOTES))
    assert read_crowd(write(gzip.compress(VOTES.encode()), "votes.csv.gz")) == plain
    assert read_crowd(write("\ufeff" + VOTES.replace("\n", "\r\n"))) == plain
    assert plain.votes == [("a", "x", "cat"), ("a", "y", "dog"), ("b", "x", "dog")]


def test_labels_are_those_that_occur_numbers_by_size(write):
    lines = "".join(f"t,w{label},{label}\n" for label in ("10", "9", "b", "a"))
    assert read_crowd(write("task,worker,label\n" + lines)).labels == ["9", "10", "a", "b"]


def test_the_first_of_repeated_votes_counts_in_the_majority(write):
    crowd = read_crowd(write("task,worker,label\na,x,cat\na,x,dog\na,x,dog\nb,y,dog\n"))
    assert crowd.majority() == {"a": "cat", "b": "dog"}


def test_gold_of_tasks_without_votes_is_left_out(write):
    gold = write("task,label\na,cat\nz,dog\n", "gold.csv")
    assert read_crowd(write(VOTES), gold).gold == {"a": "cat"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "its first line must name the columns task,worker,label; task is missing"),
        ("task,label\na,cat\n", "worker is missing"),
        ("task,worker,label\n", "holds no lines but the first"),
        (VOTES + "c,,cat\n", "line 5: worker is missing"),
        (VOTES + "c,x\n", "line 5: label is missing"),
        ("task,worker,label\na,x,cat\n", "1 different labels occur; a project has 2 to 200 of them"),
        ("task,worker,label\n" + "".join(f"a,w{i},{i}\n" for i in range(201)), "201 different labels occur"),
        (b"task,worker,label\na,x,caf\xe9\n", "is not UTF-8"),
        (b"\x1f\x8bnot really", "can't be read"),
        ('task,worker,label\na,x,"cat"dog\n', "is not valid CSV"),
    ],
)
def test_a_bad_votes_file_is_named_with_what_is_wrong(write, text, says):
    path = write(text)
    with pytest.raises(BadFile) as refused:
        read_crowd(path)
    assert str(path) in str(refused.value) and says in str(refused.value)


def test_bad_gold_is_named_with_what_is_wrong(write):
    votes = write(VOTES)
    with pytest.raises(BadFile, match="task 'a' has two gold labels, 'cat' and 'dog'"):
        read_crowd(votes, write("task,label\na,cat\na,dog\n", "gold.csv"))
    with pytest.raises(BadFile, match="none of its tasks has votes"):
        read_crowd(votes, write("task,label\nz,cat\n", "gold.csv"))
    with pytest.raises(BadFile, match="can't be read"):
        read_crowd(votes.with_name("nowhere.csv"))
