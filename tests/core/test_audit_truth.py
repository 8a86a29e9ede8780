"""The consensus that audits take for the truth is wrong no more often than is added to their bound."""

import numpy as np

from aggregation.core.audit_truth import most_often_wrong
from aggregation.core.fit import Fit
from aggregation.core.gold_calibration import lesson
from aggregation.core.label_models import LABEL_MODELS
from aggregation.core.threshold_plan import alpha_of
from aggregation.core.votes import Votes


def test_the_limit_is_below_the_truth_in_few_campaigns_at_any_look_while_gold_is_added():
    error, alpha, missed = 0.06, 0.05, 0
    for seed in range(300):
        right = np.random.default_rng(seed).random(400) >= error
        missed += any(most_often_wrong(right[:n], alpha) < error for n in range(40, 401, 40))
    assert 0 < missed <= 0.08 * 300


def test_without_gold_nothing_is_known_and_more_of_it_tells_more():
    limits = [most_often_wrong(np.arange(n) % 50 != 49, 0.05) for n in (0, 20, 100, 500, 2000)]
    assert limits[0] == 1.0 and limits == sorted(limits, reverse=True)
    assert 0.02 < limits[-1] < 0.035


def test_what_the_machine_predicts_has_no_part_in_how_often_votes_are_right():
    random = np.random.default_rng(0)
    gold = random.integers(2, size=60).astype(np.int32)
    voted = np.where(random.random((60, 3)) < 0.9, gold[:, None], 1 - gold[:, None]).astype(np.int32)
    columns = np.repeat(np.arange(60), 3), np.tile(np.arange(3), 60), voted.ravel()
    votes = Votes(*(column.astype(np.int32) for column in columns), 60, 3, 2)

    def fit(votes: Votes, gold: np.ndarray) -> Fit:
        return LABEL_MODELS["majority_vote"](votes, gold)

    def contrary(_prior: np.ndarray, tasks: np.ndarray) -> np.ndarray:
        return np.where(np.arange(2) == gold[tasks][:, None], 1e-9, 1 - 1e-9)

    found = lesson(votes, gold, gold, fit, contrary)

    assert found is not None
    assert found.right.tolist() == ((voted.sum(axis=1) >= 2) == gold).tolist()
    assert 0.9 < found.right.mean() < 1.0
    assert (found.posterior.argmax(axis=1) == found.gold).mean() < 0.7, "predictions worked in say otherwise"


def test_the_limits_that_the_documentation_tells():
    alpha, clean = alpha_of(2, 0.05), np.ones(300, np.bool_)
    three = clean.copy()
    three[[50, 150, 250]] = False
    limits = [round(100 * most_often_wrong(right, alpha), 1) for right in (clean[:100], clean, three)]
    assert limits == [5.7, 1.8, 4.5]
