"""Sentences: vectors from a package that is read and never run, needs no network, and is none of a stored learner's."""

import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aggregation.learners import LEARNERS, MissingPackage, Target, load, sentences, vectors

ROOT = Path(__file__).resolve().parents[2]
SAID = ["The film was wonderful.", "A superb movie", "Rain is expected tomorrow", "It will be cold and wet on Sunday"]
TAUGHT = [{"text": text} for text in SAID] * 5
TARGET = Target.hard([0, 0, 1, 1] * 5, 2)


def fit():
    return LEARNERS["sentences"].fit(TAUGHT, TARGET, ["text"])


def test_what_is_alike_in_meaning_lies_close_whatever_its_words():
    praise, superb, rain, cold = vectors.directions(SAID)
    assert min(praise @ superb, rain @ cold) > max(praise @ rain, praise @ cold, superb @ rain, superb @ cold)


def test_the_direction_of_a_text_is_that_of_the_mean_of_its_tokens():
    known = vectors.vectors()
    tokens = known.tokenizer.encode("The film was wonderful.", add_special_tokens=False).ids
    mean = known.table[tokens].mean(axis=0)
    np.testing.assert_allclose(vectors.directions(SAID[:1])[0], mean / np.linalg.norm(mean), atol=1e-6)
    assert not vectors.directions([" \n"]).any() and vectors.directions([]).shape == (0, known.table.shape[1])


def test_texts_have_the_same_vectors_one_by_one_and_in_chunks(monkeypatch):
    whole = vectors.directions([*SAID, "x" * 100, "\ud800"])
    monkeypatch.setattr(vectors, "CHUNK", 2)
    np.testing.assert_array_equal(vectors.directions([*SAID, "x" * 100, "\ud800"]), whole)


def test_words_that_were_never_taught_are_understood():
    new = [{"text": word} for word in ("Hollywood", "Cinema", "Weather", "Frost")]
    by_meaning, by_words = (
        LEARNERS[name].fit(TAUGHT, TARGET, ["text"]).learned.predict_proba(new)[:, 0] for name in ("sentences", "text")
    )
    assert by_meaning[:2].min() > 0.55 and by_meaning[2:].max() < 0.45
    assert np.abs(by_words - 0.5).max() < 0.01


def test_words_stay_as_the_learner_of_texts_has_them_beside_vectors_of_a_set_length():
    encoder = LEARNERS["sentences"].fit_encoder(TAUGHT, ["text"])
    X, width = encoder.features(TAUGHT).toarray(), vectors.vectors().table.shape[1]
    words = LEARNERS["text"].fit_encoder(TAUGHT, ["text"]).features(TAUGHT).toarray()
    np.testing.assert_array_equal(X[:, width:], words)
    assert np.sqrt((X[:, :width] ** 2).sum(axis=1).mean()) == pytest.approx(sentences.LENGTH, rel=1e-5)
    np.testing.assert_allclose(X[:, :width].mean(axis=0), 0, atol=1e-6)


def test_a_stored_learner_holds_none_of_the_vectors_but_says_whose_they_are():
    with np.load(io.BytesIO(fit().learned.save())) as stored:
        assert max(stored[name].size for name in stored.files) < 10_000
        assert stored["encoder.version"].tobytes().decode() == vectors.vectors().version


def test_another_version_with_other_vectors_is_refused_and_one_with_the_same_is_not(monkeypatch):
    learned, known = fit().learned, vectors.vectors()
    data = learned.save()
    monkeypatch.setattr(sentences, "vectors", lambda: replace(known, version="9.9"))
    np.testing.assert_array_equal(load(data).predict_proba(TAUGHT), learned.predict_proba(TAUGHT))
    monkeypatch.setattr(sentences, "vectors", lambda: replace(known, version="9.9", sha256="other"))
    with pytest.raises(
        MissingPackage, match=rf"of wordllama {known.version}, and those of 9.9 .* pip install wordllama"
    ):
        load(data)


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    data = fit().learned.save()
    monkeypatch.setattr(vectors, "find_spec", lambda name: None)
    vectors.vectors.cache_clear()
    for attempt in (fit, lambda: load(data)):
        with pytest.raises(MissingPackage, match="The learner sentences needs .*: pip install wordllama"):
            attempt()
    assert load(LEARNERS["text"].fit(TAUGHT, TARGET, ["text"]).learned.save())


def test_no_code_of_the_package_runs_and_nothing_is_asked_of_the_network_or_the_home(tmp_path):
    code = (
        "import sys, socket; socket.socket.connect = socket.getaddrinfo = None;"
        "from aggregation.learners.vectors import directions; print(directions(['hello']).shape);"
        "assert 'wordllama' not in sys.modules"
    )
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "(1, 256)", done.stderr
    assert list(tmp_path.iterdir()) == []
