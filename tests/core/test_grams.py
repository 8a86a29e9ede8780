"""Words and runs of characters, hashed: the compiled kernel gives what numpy gives, and both what is meant."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from aggregation.learners import gram_kernels, grams
from aggregation.learners.grams import BLOCK, BUCKETS, Columns

EVERYTHING = Columns(np.arange(BUCKETS, dtype=np.int32), np.ones(BUCKETS, np.float32), BLOCK)
BOTH = pytest.mark.parametrize("weigh", [grams.weigh, gram_kernels.weigh])


def matrix(weigh, texts, columns=EVERYTHING):
    rows = weigh(grams.joined(texts), columns)
    return csr_matrix((rows.values, rows.columns, rows.start), shape=(len(texts), len(columns.idf)))


@settings(max_examples=80, deadline=None)
@given(texts=st.lists(st.text(st.sampled_from("abcÄß日_1 .!\n\t\ud800😀") | st.characters(), max_size=80), max_size=5))
def test_the_kernel_gives_what_its_twin_gives(texts):
    random = np.random.default_rng(0)
    kept = np.flatnonzero(random.random(BUCKETS) < 0.7)
    lookup = np.full(BUCKETS, -1, np.int32)
    lookup[kept] = np.arange(len(kept))
    some = Columns(lookup, random.uniform(1, 9, len(kept)).astype(np.float32), int((kept < BLOCK).sum()))
    for columns in (EVERYTHING, some):
        plain, compiled = (matrix(weigh, texts, columns) for weigh in (grams.weigh, gram_kernels.weigh))
        assert abs(plain - compiled).max() < 1e-6 if texts else plain.shape == compiled.shape


@BOTH
def test_words_pairs_and_runs_are_counted(weigh):
    """'no no yes': two words, two pairs; runs: ' no', 'no ', ' no ', ' ye', 'yes', 'es ', ' yes', 'yes ', ' yes '."""
    row = matrix(weigh, ["No  no\tYES"])[0]
    values = np.sort(row.data[row.indices < BLOCK])
    twice = 1 + np.log(2)
    np.testing.assert_allclose(values, np.array([1, 1, 1, twice]) / np.sqrt(3 + twice**2), rtol=1e-6)
    values = np.sort(row.data[row.indices >= BLOCK])
    np.testing.assert_allclose(values, np.array([1] * 6 + [twice] * 3) / np.sqrt(6 + 3 * twice**2), rtol=1e-6)


@BOTH
def test_nothing_reaches_from_one_text_into_another(weigh):
    alone = [matrix(weigh, [text]).toarray() for text in ("big", "cat", "")]
    np.testing.assert_array_equal(matrix(weigh, ["big", "cat", ""]).toarray(), np.vstack(alone))
    assert not alone[2].any()


@BOTH
def test_spelling_decides_and_not_case_or_space(weigh):
    one, same, other = matrix(weigh, ["A big cat", " a BIG\n cat ", "a big cut"]).toarray()
    np.testing.assert_array_equal(one, same)
    assert 0.2 < one @ other / 2 < 0.8


@BOTH
def test_words_are_told_apart_by_their_first_characters(weigh):
    long = "x" * grams.LONGEST_WORD
    one, other = matrix(weigh, [long + "a", long + "b"])[:, :BLOCK].toarray()
    np.testing.assert_array_equal(one, other)


def test_different_words_seldom_share_a_bucket():
    row = matrix(grams.weigh, [f"w{number}" for number in range(20_000)])[:, :BLOCK]
    shared = 1 - len(np.unique(row.indices)) / 20_000
    assert shared < 2 * 20_000 / 2 / BLOCK
