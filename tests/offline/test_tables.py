"""Consensus and annotators as files."""

from __future__ import annotations

import csv
import dataclasses
import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregation.core.votes import Votes
from aggregation.offline import tables
from aggregation.offline.analysis import Analysis, analyse
from aggregation.offline.crowd import Crowd
from aggregation.offline.gold import Gold


def analysis_of(labels: list[str], gold: Gold | None = None) -> Analysis:
    """Two annotators on three tasks: both say the first label, then the second, if any, then one of either."""
    said = np.minimum([0, 0, 1, 1, 0, 1], len(labels) - 1)
    votes = Votes(*np.array([[0, 0, 1, 1, 2, 2], [0, 1, 0, 1, 0, 1], said], np.int32), 3, 2, len(labels))
    names = pa.array(["=1", "two, 2", 'say "3"'])
    return analyse(Crowd(votes, names, ["ann", "-bob"], labels, False, 0, 0, gold, ()), "majority_vote")


def csv_rows(table: Any) -> list[list[str]]:
    written = io.BytesIO()
    tables.writer("out.csv", table)(written)
    return list(csv.reader(io.StringIO(written.getvalue().decode(), newline=""), strict=True))


def test_each_task_has_its_label_its_confidence_and_all_probabilities() -> None:
    posterior = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    analysis = dataclasses.replace(analysis_of(["a", "b,c"]), posterior=posterior)
    assert csv_rows(tables.consensus(analysis)) == [
        ["task", "label", "confidence", "votes", "p_a", "p_b,c"],
        ["=1", "a", "1", "2", "1", "0"],
        ["two, 2", "b,c", "1", "2", "0", "1"],
        ['say "3"', "a", "0.5", "2", "0.5", "0.5"],
    ]


@pytest.mark.parametrize(("n_labels", "columns"), [(200, 204), (201, 4), (1000, 4)])
def test_beyond_200_labels_there_is_no_column_for_each(n_labels: int, columns: int) -> None:
    table = tables.consensus(analysis_of([str(label) for label in range(n_labels)]))
    assert len(table.column_names) == columns
    assert table["label"].to_pylist() == ["0", "1", "0"]


def test_annotators_are_told_how_they_did_on_gold() -> None:
    rows = tables.annotators(analysis_of(["a", "b"], Gold(np.array([0, -1, 1], np.int32), 0))).to_pylist()
    assert [(row["worker"], row["votes"], row["gold_votes"], row["gold_right"]) for row in rows] == [
        ("ann", 3, 2, 1),
        ("-bob", 3, 2, 2),
    ]
    assert rows[0]["skill"] < rows[1]["skill"]
    assert all(row["skill_low"] < row["skill"] < row["skill_high"] for row in rows)
    assert all(0 <= row["spammer_score"] <= 1 for row in rows)
    assert "gold_votes" not in tables.annotators(analysis_of(["a", "b"])).column_names


def test_what_a_single_label_cannot_tell_is_left_empty() -> None:
    table = tables.annotators(analysis_of(["a"]))
    assert table["spammer_score"].to_pylist() == [None, None]
    assert [row[-1] for row in csv_rows(table)] == ["spammer_score", "", ""]


@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.floats(0, 1)), max_size=8))
@settings(deadline=None, max_examples=50)
def test_whatever_is_written_as_csv_is_read_back(rows: list[tuple[str, float]]) -> None:
    names, numbers = [name for name, _ in rows], [number for _, number in rows]
    table = pa.table({"name": pa.array(names, pa.string()), "number": pa.array(numbers, pa.float64())})
    found = csv_rows(table)[1:]
    assert [(name, float(number)) for name, number in found] == rows


def test_only_what_needs_quotes_has_them() -> None:
    written = io.BytesIO()
    tables.writer("out.csv", pa.table({"a,b": ["x y", "c\rd", "e\nf", "g,h", 'i"j', " k "]}))(written)
    assert written.getvalue() == b'"a,b"\nx y\n"c\rd"\n"e\nf"\n"g,h"\n"i""j"\n k \n'


def test_large_tables_are_written_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROWS", 2)
    assert csv_rows(pa.table({"n": list(range(5))})) == [["n"], ["0"], ["1"], ["2"], ["3"], ["4"]]


def test_parquet_holds_the_same_table() -> None:
    table = tables.consensus(analysis_of(["a", "b"]))
    written = io.BytesIO()
    tables.writer("out.PARQUET.gz", table)(written)
    assert pq.read_table(io.BytesIO(written.getvalue())).equals(table)
