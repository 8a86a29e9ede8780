"""Compiled kernels give what numpy gives, and equal votes give equal bytes."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aggregation.core import dawid_skene, e_steps, em, kernels
from aggregation.core.label_models import LABEL_MODELS
from aggregation.core.simulation import dawid_skene_votes
from aggregation.core.votes import Votes, check_gold

from .strategies import as_votes, votes_and_gold

LONG = as_votes([(t, a, (a * t) % 3) for t in range(3) for a in range(40)], 4, 40, 3), np.array([-1, 2, -1, 1])


def parameters(votes, seed=0):
    """A label prior, and a free and a structured likelihood, some of it as small as it may be."""
    random, K = np.random.default_rng(seed), votes.n_labels
    free = np.maximum(random.dirichlet(np.full(K, 0.3), len(votes.by_task.cells)), 1e-10)
    right, errors = random.uniform(1e-10, 1, votes.n_annotators), random.dirichlet(np.ones(K), K)
    return random.dirichlet(np.ones(K)), free, (right, np.maximum(1 - right, 1e-10), np.maximum(errors, 1e-10))


@settings(max_examples=60, deadline=None)
@given(case=votes_and_gold(max_labels=4), seed=st.integers(0, 99), alone=st.booleans())
@example(case=LONG, seed=0, alone=True)
def test_each_kernel_gives_what_its_twin_gives(case, seed, alone):
    votes, gold = case
    if alone:
        votes = replace(votes, task_prior=task_prior(votes, seed))
    tasks, gold = votes.by_task, check_gold(gold, votes)
    prior, free, structured = parameters(votes, seed)
    posterior = np.random.default_rng(seed).dirichlet(np.ones(votes.n_labels), votes.n_tasks)
    for name, arguments in {
        "free_sweep": (tasks, gold, prior, free),
        "free_posterior": (tasks, gold, prior, free),
        "free_count": (tasks, gold, posterior),
        "structured_sweep": (tasks, gold, prior, *structured),
        "structured_posterior": (tasks, gold, prior, *structured),
        "structured_count": (tasks, gold, posterior),
        "vote_shares": (tasks, gold),
    }.items():
        compiled, plain = (getattr(module, name)(*arguments) for module in (kernels, e_steps))
        for one, other in zip(*map(as_tuple, (compiled, plain)), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10, err_msg=name)


def task_prior(votes, seed):
    """Of each task its own, some of it as small as it may be."""
    return np.random.default_rng(seed).dirichlet(np.full(votes.n_labels, 0.1), votes.n_tasks)


def as_tuple(result):
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("n_labels", [1, 2, 5, 17])
@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("model", ["dawid_skene", "hierarchical_dawid_skene", "difficulty_dawid_skene"])
def test_a_fit_by_kernels_is_the_fit_by_numpy(monkeypatch, n_labels, model, alone):
    votes, truth, _ = dawid_skene_votes(1, 300, 15, n_labels, 5, diagonal=12.0)
    votes = replace(votes, task_prior=task_prior(votes, 0)) if alone else votes
    gold = np.where(np.arange(300) % 9 == 0, truth, -1)
    plain = LABEL_MODELS[model](votes, gold, max_iter=20)
    monkeypatch.setattr(em, "COMPILED_ABOVE", 0)
    compiled = LABEL_MODELS[model](votes, gold, max_iter=20)
    assert em.Data(votes, gold, 0.0).steps is kernels
    np.testing.assert_allclose(compiled.posterior, plain.posterior, atol=1e-8)
    np.testing.assert_allclose(compiled.objective, plain.objective, rtol=1e-10)


@pytest.fixture
def many():
    """Enough votes for several pieces."""
    votes, _, _ = dawid_skene_votes(2, 3000, 30, 3, 5)
    assert len(kernels._pieces(votes.by_task, 30 * 9)) > 4
    return votes


def test_equal_votes_give_equal_bytes_in_any_order_on_any_number_of_cores(monkeypatch, many):
    monkeypatch.setattr(em, "COMPILED_ABOVE", 0)
    rows = np.random.default_rng(0).permutation(len(many))
    shuffled = Votes(many.task[rows], many.annotator[rows], many.label[rows], 3000, 30, 3)
    fits = []
    for cores, votes in ((1, many), (2, many), (5, shuffled)):
        monkeypatch.setattr(kernels.numba, "get_num_threads", lambda cores=cores: cores)
        fits.append(dawid_skene.fit(votes, max_iter=10))
    assert {fit.posterior.tobytes() for fit in fits} == {fits[0].posterior.tobytes()}
    assert {fit.objective for fit in fits} == {fits[0].objective}


def test_two_callers_at_once_do_not_disturb_each_other(many):
    prior, free, _ = parameters(many)
    gold = check_gold(None, many)
    alone = kernels.free_sweep(many.by_task, gold, prior, free)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: kernels.free_sweep(many.by_task, gold, prior, free), range(40)))
    for result in together:
        assert result[1].tobytes() == alone[1].tobytes() and result[2] == alone[2]


def test_a_label_that_many_votes_ruled_out_can_come_back(monkeypatch):
    """2,000 votes for one label and then 2,000 better ones for the other: no product of them fits a float."""
    votes = as_votes([(0, a, int(a >= 2000)) for a in range(4000)], 1, 4000, 2)
    likelihood = np.empty((4000, 2, 2))
    likelihood[:2000], likelihood[2000:] = np.array([[0.9, 0.1], [0.1, 0.9]]), np.array([[0.95, 0.05], [0.05, 0.95]])
    cells = votes.by_task.cells
    arguments = votes.by_task, check_gold(None, votes), np.array([0.5, 0.5]), likelihood[cells.annotator, cells.label]
    assert kernels.free_posterior(*arguments).tolist() == [[0.0, 1.0]]
    np.testing.assert_allclose(kernels.free_sweep(*arguments)[2], e_steps.free_sweep(*arguments)[2], rtol=1e-12)


def test_without_numba_numpy_fits():
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "from aggregation.core import dawid_skene, em\n"
        "from aggregation.core.simulation import dawid_skene_votes\n"
        "em.COMPILED_ABOVE = 0\n"
        "print(dawid_skene.fit(dawid_skene_votes(1, 200, 9, 3, 5)[0]).converged)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "True", done.stderr


def test_few_votes_load_no_numba():
    code = (
        "import sys\n"
        "from aggregation.core import dawid_skene\n"
        "from aggregation.core.simulation import dawid_skene_votes\n"
        "dawid_skene.fit(dawid_skene_votes(1, 200, 9, 3, 5)[0])\n"
        "print('numba' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
