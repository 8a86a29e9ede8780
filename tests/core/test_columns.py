"""Columns become votes, whatever their names are made of."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregation.core.columns import encode

NAMES = st.one_of(
    st.lists(st.integers(-5, 20), min_size=1),
    st.lists(st.integers(-(2**62), 2**62), min_size=1),
    st.lists(st.text(max_size=3), min_size=1),
)


@settings(deadline=None)
@given(names=NAMES)
def test_every_vote_keeps_its_names(names):
    column = np.array(names) if isinstance(names[0], int) else pa.array(names)
    encoded = encode(column, column, column)
    for index, called in ((encoded.votes.task, encoded.tasks), (encoded.votes.label, encoded.labels)):
        assert index.dtype == np.int32
        assert called[index].tolist() == names
        assert len(set(called.tolist())) == len(called)


def test_columns_of_a_table_are_read_as_they_are():
    import pandas as pd

    table = pd.DataFrame(
        {"task": ["b", "a", "b"], "worker": [7, 9, 7], "label": pd.Series(["x", "x", "y"], dtype="str")}
    )
    encoded = encode(table["task"], table["worker"], table["label"])
    assert encoded.votes.task.tolist() == [0, 1, 0] and encoded.tasks.tolist() == ["b", "a"]
    assert encoded.votes.annotator.tolist() == [0, 1, 0] and encoded.annotators.tolist() == [7, 9]
    assert encoded.votes.label.tolist() == [0, 0, 1] and encoded.labels.tolist() == ["x", "y"]
    assert table["worker"].tolist() == [7, 9, 7]


def test_no_rows_are_no_votes():
    none = np.array([], dtype=np.int64)
    assert len(encode(none, none, none).votes) == 0


def test_an_empty_cell_is_named():
    with pytest.raises(ValueError, match="annotator in row 1 is empty"):
        encode(np.array([1, 2]), ["ann", None], np.array([0, 1]))


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="annotator has 1 rows, task has 2"):
        encode(np.array([1, 2]), np.array([1]), np.array([0, 1]))
