"""The label type choice."""

import pytest

from aggregation.core.choice import canonical, check_labels


@pytest.mark.parametrize("labels", [["yes", "no"], [str(n) for n in range(200)], ["鳥", "🐦"], ["x" * 200, "y"]])
def test_good_labels_have_no_problems(labels):
    assert check_labels(labels) == []


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ("yes,no", "must be a list of 2 to 200 strings"),
        (["only"], "must hold 2 to 200 labels, not 1"),
        ([str(n) for n in range(201)], "must hold 2 to 200 labels, not 201"),
        (["a", 3], "label 1 is not a string"),
        (["a", "  "], "label 1 is empty"),
        (["a", "x" * 201], "label 1 is longer than 200 characters"),
        (["a", "b\x00c"], "label 1 holds a control character"),
        (["a", "\ud800"], "label 1 holds a control character"),
        (["a", "b", " a "], "label 2 repeats label 0, 'a'"),
    ],
)
def test_a_bad_label_is_named(labels, problem):
    assert check_labels(labels) == [problem]


def test_every_problem_is_told_at_once():
    assert len(check_labels(["a", "a", "", 1])) == 3


def test_an_answer_gets_its_one_form():
    assert canonical({"label": " dog "}, ["cat", "dog"]) == ({"label": "dog"}, 1)


def test_an_unknown_label_is_named_with_those_allowed():
    with pytest.raises(ValueError, match="unknown label 'cow'; expected one of 'cat', 'dog'"):
        canonical({"label": "cow"}, ["cat", "dog"])
    with pytest.raises(ValueError, match="and 190 more"):
        canonical({"label": "cow"}, [str(n) for n in range(200)])


@pytest.mark.parametrize("answer", ["cat", None, {}, {"label": 1}, {"label": "cat", "also": 1}, ["cat"]])
def test_anything_else_is_no_answer(answer):
    with pytest.raises(ValueError, match='object {"label": name}'):
        canonical(answer, ["cat", "dog"])
