"""Learners: payloads in, predictions for every label out, stored without pickle."""

import numpy as np
import pytest

from aggregation.learners import LEARNERS, Learned, out_of_fold, train

TEXTS = [{"text": "a bird with wings"}, {"text": "a fish with fins"}] * 20
NUMBERS = [{"x": float(n % 2), "pixels": [n % 2, 3, n % 5]} for n in range(40)]
POSTERIOR = np.tile([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]], (20, 1))
BOTH = pytest.mark.parametrize(
    ("name", "payloads", "fields"), [("text", TEXTS, ["text"]), ("numeric", NUMBERS, ["x", "pixels"])]
)


def learn(name, payloads, fields, posterior=POSTERIOR, seed=0):
    encoder = LEARNERS[name].fit_encoder(payloads, fields)
    return Learned(name, encoder, train(encoder.features(payloads), posterior, seed=seed))


@BOTH
def test_it_learns_what_the_consensus_says(name, payloads, fields):
    proba = learn(name, payloads, fields).predict_proba(payloads)
    assert proba.shape == (40, 3)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    assert (proba.argmax(axis=1) == np.arange(40) % 2).all()
    assert ((proba[:, 2] > 0) & (proba[:, 2] < 0.05)).all()  # never seen, never impossible


@BOTH
def test_it_comes_back_from_bytes_and_equal_seeds_give_equal_bytes(name, payloads, fields):
    learned = learn(name, payloads, fields)
    data = learned.save()
    assert data == learn(name, payloads, fields).save()
    np.testing.assert_array_equal(Learned.load(data).predict_proba(payloads), learned.predict_proba(payloads))


@pytest.mark.parametrize("data", [b"", b"no such thing", b"PK\x03\x04broken", b"\x80\x04N."])
def test_anything_else_is_not_loaded(data):
    with pytest.raises(ValueError, match="not a stored learner"):
        Learned.load(data)


@BOTH
def test_one_label_so_far_predicts_it_the_surer_the_more_was_seen(name, payloads, fields):
    certain = np.tile([0.0, 1.0, 0.0], (40, 1))
    np.testing.assert_allclose(
        learn(name, payloads, fields, certain).predict_proba(payloads)[0], [1 / 43, 41 / 43, 1 / 43]
    )


def test_nothing_to_train_on_predicts_evenly():
    np.testing.assert_allclose(train(np.empty((0, 2)), np.empty((0, 4))).predict_proba(np.ones((1, 2))), 0.25)


def test_identical_rows_predict_their_common_share():
    posterior = np.tile([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]], (10, 1))
    learned = learn("numeric", [{"x": 1}] * 40, ["x"], posterior)
    np.testing.assert_allclose(learned.predict_proba([{"x": 1}])[0], [0.75, 0.25], atol=0.03)


def test_empty_texts_are_no_error():
    learned = learn("text", [{"text": ""}, {"text": "  ?! "}] * 20, ["text"])
    assert learned.predict_proba([{"text": "new words"}]).shape == (1, 3)
    assert Learned.load(learned.save()).predict_proba([]).shape == (0, 3)


def test_out_of_fold_predictions_never_saw_their_row():
    random = np.random.default_rng(0)
    X, posterior = random.normal(size=(60, 80)), np.eye(2)[random.integers(2, size=60)]
    held_out = out_of_fold(X, posterior, c=100.0)
    own = train(X, posterior, c=100.0).predict_proba(X)
    assert (own.argmax(axis=1) == posterior.argmax(axis=1)).all()  # it can learn this noise by heart
    assert (held_out.argmax(axis=1) == posterior.argmax(axis=1)).mean() < 0.75
    assert out_of_fold(X, posterior, seed=3).tobytes() == out_of_fold(X, posterior, seed=3).tobytes()


@pytest.mark.parametrize("rows", [0, 1, 2, 3])
def test_fewer_rows_than_folds(rows):
    assert out_of_fold(np.ones((rows, 2)), np.full((rows, 3), 1 / 3)).shape == (rows, 3)


@pytest.mark.parametrize(
    ("name", "payloads", "message"),
    [
        ("text", [{"text": "fine"}, {}], "row 1 has no field 'text'"),
        ("text", [{"text": 3}], "row 0, field 'text': not a text"),
        ("text", ["fine"], "row 0 is not an object"),
        ("numeric", [{"text": [1, 2]}, {"text": [1]}], "row 1, field 'text': 1 numbers; expected 2"),
        ("numeric", [{"text": 1}, {"text": "one"}], "row 1, field 'text': not a finite number"),
        ("numeric", [{"text": 1}, {"text": float("nan")}], "row 1, field 'text': not a finite number"),
        ("numeric", [{"text": True}], "row 0, field 'text': not a finite number"),
        ("numeric", [{"text": None}], "row 0, field 'text': not a finite number"),
        ("numeric", [{"text": [[1, 2], [3]]}], "row 0, field 'text': lists of different lengths"),
        ("numeric", [{"text": [1, True]}], "row 0, field 'text': not a finite number"),
        ("numeric", [{"text": 10**400}], "row 0, field 'text': not a finite number"),
        ("numeric", [], "no payloads"),
    ],
)
def test_a_bad_payload_is_named(name, payloads, message):
    with pytest.raises(ValueError, match=message):
        LEARNERS[name].fit_encoder(payloads, ["text"])
