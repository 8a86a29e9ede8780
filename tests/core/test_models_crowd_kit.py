"""crowd-kit's models behind our contract: they give its answers, and say so where it cannot be had."""

import sys
import warnings
from functools import cache, partial

import numpy as np
import pytest

from aggregation.core import crowd_kit
from aggregation.core.label_models import LABEL_MODELS, OURS
from aggregation.core.simulation import dawid_skene_votes

from .strategies import as_votes

THEIRS = sorted(set(LABEL_MODELS) - set(OURS))
MODELS = pytest.mark.parametrize("name", THEIRS)
CROWD = dawid_skene_votes(3, 40, 8, 2, 5, diagonal=3.0)[0]
#: Three tasks without votes and an annotator without any come last.
VOTES = as_votes(np.stack([CROWD.task, CROWD.annotator, CROWD.label], axis=1), 43, 9, 2)


@pytest.fixture(autouse=True, scope="module")
def few_restarts():
    """MACE tries ten times, for many seconds; twice shows as much."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # crowd-kit's imports warn; ours must not
        from crowdkit.aggregation import classification
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classification, "MACE", partial(classification.MACE, n_restarts=2, n_iter=10))
        yield classification


@cache
def fitted(name):
    return LABEL_MODELS[name](VOTES)


def test_four_of_crowd_kits_models_are_on_offer():
    assert THEIRS == ["crowd_kit_glad", "crowd_kit_kos", "crowd_kit_mace", "crowd_kit_mmsr"]


@MODELS
def test_the_labels_are_those_that_crowd_kit_gives(name, few_restarts):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so do its calls
        import pandas as pd

        table = pd.DataFrame({"task": CROWD.task, "worker": CROWD.annotator, "label": CROWD.label})
        theirs = getattr(few_restarts, name.removeprefix("crowd_kit_").upper())().fit_predict(table)
    assert (fitted(name).label[theirs.index] == theirs.to_numpy()).all()


@MODELS
def test_a_fit_of_crowd_kit_holds_probabilities(name):
    fit = fitted(name)
    assert fit.posterior.shape == (43, 2) and fit.confusion.shape == (9, 2, 2)
    np.testing.assert_allclose(fit.posterior.sum(axis=1), 1.0)
    np.testing.assert_allclose(fit.confusion.sum(axis=2), 1.0)
    assert fit.notes == ()


@MODELS
def test_tasks_without_votes_get_the_label_shares(name):
    fit = fitted(name)
    np.testing.assert_allclose(fit.posterior[40:], np.tile(fit.label_prior, (3, 1)))
    assert 0 < fit.accuracy[8] < 1


@MODELS
def test_gold_is_clamped_and_the_fit_says_that_nothing_was_learnt_from_it(name):
    free = fitted(name)
    gold = np.full(43, -1, dtype=np.int32)
    gold[:5] = 1 - free.label[:5]
    fit = LABEL_MODELS[name](VOTES, gold)
    assert (fit.posterior[np.arange(5), gold[:5]] == 1).all()
    assert fit.posterior[5:40].tobytes() == free.posterior[5:40].tobytes()
    assert "did not learn" in fit.notes[0]


@MODELS
@pytest.mark.parametrize("rows", [[], [(0, 0, 1), (1, 0, 1)]])
def test_votes_without_a_choice_are_left_to_majority_vote(name, rows):
    fit = LABEL_MODELS[name](as_votes(rows, 3, 2, 2))
    np.testing.assert_allclose(fit.posterior.sum(axis=1), 1.0)
    assert "majority vote instead" in fit.notes[0]


def test_three_labels_are_too_many_for_kos():
    with pytest.raises(ValueError, match="two labels only, not 3"):
        LABEL_MODELS["crowd_kit_kos"](as_votes([(0, 0, 2)], 1, 1, 3))


def test_crowd_kit_that_is_not_installed_is_unavailable(monkeypatch):
    forget_crowd_kit(monkeypatch)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(crowd_kit.Unavailable, match="MACE needs crowd-kit, which is not installed: install crowd-kit"):
        LABEL_MODELS["crowd_kit_mace"](VOTES)


def test_a_package_that_breaks_crowd_kits_import_is_named(monkeypatch):
    class Broken:
        def __getattr__(self, name):
            raise AttributeError(f"the installed version has no {name}")

    forget_crowd_kit(monkeypatch)
    monkeypatch.setitem(sys.modules, "attr", Broken())
    with pytest.raises(crowd_kit.Unavailable, match="AttributeError: the installed version has no"):
        LABEL_MODELS["crowd_kit_glad"](VOTES)


def forget_crowd_kit(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "crowdkit"]:
        monkeypatch.delitem(sys.modules, name)
