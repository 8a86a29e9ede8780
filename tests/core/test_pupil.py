"""A learner that replays teach again and again: as if it were encoded anew, and silent about what it can't read."""

import numpy as np
import pytest

from aggregation.core.policy import Policy
from aggregation.core.replay import replay
from aggregation.core.votes import Votes
from aggregation.learners import LEARNERS, Pupil, Target, cross_fit, train
from aggregation.learners.reading import BadRow

N, K = 40, 2
TRUTH = np.arange(N) % K
POSTERIOR = np.where(TRUTH[:, None] == np.arange(K), 0.9, 0.1)


def payloads(bad=()):
    random = np.random.default_rng(0)
    return [{"x": "?" if n in bad else [float(TRUTH[n]), random.random()]} for n in range(N)]


def test_it_predicts_as_the_learner_does():
    learner, rows = LEARNERS["numeric"], np.arange(5, 25)
    pupil = Pupil.of(learner, payloads(), ["x"])
    held_out, everywhere = pupil.teach(rows, POSTERIOR[rows], 3)
    X, target = learner.fit_encoder(payloads(), ["x"]).features(payloads()), Target.winning(POSTERIOR[rows])
    np.testing.assert_array_equal(held_out, cross_fit(X[rows], target, seed=3).proba)
    np.testing.assert_array_equal(everywhere, train(X[rows], target).predict_proba(X))
    assert pupil.left_out == 0 and pupil.features.shape == (N, 2)


def test_what_it_cannot_read_has_no_prediction():
    pupil = Pupil.of(LEARNERS["numeric"], payloads(bad={0, 7}), ["x"])
    rows = np.arange(10)
    held_out, everywhere = pupil.teach(rows, POSTERIOR[rows], 0)
    assert pupil.left_out == 2 and not pupil.features[[0, 7]].any()
    for found in (held_out, everywhere):
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(found).any(axis=1)), [0, 7])
    with pytest.raises(BadRow, match="row 0, field 'x'"):
        Pupil.of(LEARNERS["numeric"], payloads(bad=set(range(30))), ["x"])


def test_texts_are_not_told_apart_for_the_queue():
    assert Pupil.of(LEARNERS["text"], [{"text": str(n)} for n in range(N)], ["text"]).features is None


def test_a_replay_goes_on_where_some_tasks_have_no_prediction():
    task = np.repeat(np.arange(N, dtype=np.int32), 3)
    dice = np.random.default_rng(1)
    label = np.where(dice.random(len(task)) < 0.8, TRUTH[task], 1 - TRUTH[task]).astype(np.int32)
    votes = Votes(task, np.tile(np.arange(3, dtype=np.int32), N), label, N, 3, K)
    pupil = Pupil.of(LEARNERS["numeric"], payloads(bad={0, 7}), ["x"])
    settings = {"label_model": "majority_vote", "learner": "numeric", "auto_label_error": 0.2, "audit_share": 0.5}
    policy = Policy(**settings, audits_by="experts")
    found = replay(votes, TRUTH.astype(np.int32), policy, 0, pupil.teach, pupil.features)
    assert np.isfinite(found.posterior).all() and found.reason[[0, 7]].tolist() == [None, None]
    alone = replay(votes, TRUTH.astype(np.int32), Policy(label_model="majority_vote"), 0)
    assert found.accuracy[15] > alone.accuracy[15], "two features tell what all tasks are"
