"""Learners: payloads in, predictions for every label out, stored without pickle."""

import io
import json
from functools import partial

import numpy as np
import pytest

from aggregation.learners import LEARNERS, Target, images, load, predict_stream, storage, text

TEXTS = [{"text": "a bird with wings"}, {"text": "a fish with fins"}] * 20
NUMBERS = [{"x": float(n % 2), "pixels": [n % 2, 3, n % 5]} for n in range(40)]
VECTORS = [{"vector": [[1.0, 0.2, 0.0], [0.1, 3.0, 0.1]][n % 2]} for n in range(40)]
IMAGES = [{"image": [[[0, 0, 9], [0, 0, 9], [0, 0, 9]], [[0, 0, 0], [0, 0, 0], [9, 9, 9]]][n % 2]} for n in range(40)]
POSTERIOR = np.tile([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]], (20, 1))
CASES = {
    "text": (TEXTS, ["text"]),
    "sentences": (TEXTS, ["text"]),
    "numeric": (NUMBERS, ["x", "pixels"]),
    "embeddings": (VECTORS, ["vector"]),
    "images": (IMAGES, ["image"]),
}
EACH = pytest.mark.parametrize(("name", "payloads", "fields"), [(name, *case) for name, case in CASES.items()])


def learn(name, payloads, fields, posterior=POSTERIOR):
    return LEARNERS[name].fit(payloads, Target.winning(posterior), fields, seed=0)


def test_every_learner_is_tried_here():
    assert set(CASES) == set(LEARNERS) and all(LEARNERS[name].name == name for name in LEARNERS)


@EACH
def test_it_learns_what_the_consensus_says(name, payloads, fields):
    fit = learn(name, payloads, fields)
    proba = fit.learned.predict_proba(payloads)
    assert proba.shape == fit.held_out.shape == (40, 3) and fit.learned.n_labels == 3
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    for found in (proba, fit.held_out):
        assert (found.argmax(axis=1) == np.arange(40) % 2).all()
        assert ((found[:, 2] > 0) & (found[:, 2] < 0.05)).all()  # never seen, never impossible


@EACH
def test_it_comes_back_from_bytes_and_equal_seeds_give_equal_bytes(name, payloads, fields):
    learned = learn(name, payloads, fields).learned
    data = learned.save()
    assert data == learn(name, payloads, fields).learned.save()
    np.testing.assert_array_equal(load(data).predict_proba(payloads), learned.predict_proba(payloads))
    np.testing.assert_array_equal(load(data).member_proba(payloads)[0], learned.predict_proba(payloads))


@EACH
def test_the_members_of_its_committee_were_taught_on_different_rows(name, payloads, fields):
    fit = learn(name, payloads, fields)
    members = fit.learned.member_proba(payloads)
    assert members.shape == (5, 40, 3)
    # Each row's held-out prediction is that of the one member that has not seen it.
    assert (np.abs(members - fit.held_out).max(axis=2).min(axis=0) < 1e-12).all()
    assert not np.array_equal(members[0], members[1])


@pytest.mark.parametrize("data", [b"", b"no such thing", b"PK\x03\x04broken", b"\x80\x04N."])
def test_anything_else_is_not_loaded(data):
    with pytest.raises(ValueError, match="not a stored learner"):
        load(data)


def stored(**changes):
    """A stored learner with some of its arrays, or of its head, changed since."""
    head, groups = storage.unpack(learn("numeric", *CASES["numeric"]).learned.save())
    arrays = {f"{group}.{name}": array for group, members in groups.items() for name, array in members.items()}
    arrays["head"] = storage.text_array(json.dumps({**head, **changes.pop("head", {})}))
    file = io.BytesIO()
    np.savez_compressed(file, **{**arrays, **changes})
    return file.getvalue()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder.mean": np.zeros(4)}, "checksum"),
        ({"head": {"sha256": "0"}}, "checksum"),
        ({"head": {"format": 1}}, "train it again"),
        ({"head": {"learner": "oracle"}}, "oracle"),
        ({"encoder.mean": np.array([print], dtype=object)}, "pickle"),
    ],
)
def test_what_was_changed_or_is_unknown_is_not_loaded(changes, message):
    assert load(stored())
    with pytest.raises(ValueError, match=f"not a stored learner: .*{message}"):
        load(stored(**changes))


@EACH
def test_one_label_so_far_predicts_it_the_surer_the_more_was_seen(name, payloads, fields):
    fit = learn(name, payloads, fields, np.tile([0.0, 1.0, 0.0], (40, 1)))
    np.testing.assert_allclose(fit.learned.predict_proba(payloads)[0], [1 / 43, 41 / 43, 1 / 43])
    np.testing.assert_allclose(fit.held_out[0], [1 / 35, 33 / 35, 1 / 35])


@EACH
def test_identical_tasks_predict_their_common_share(name, payloads, fields):
    posterior = np.tile([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]], (10, 1))
    learned = learn(name, [payloads[0]] * 40, fields, posterior).learned
    np.testing.assert_allclose(learned.predict_proba([payloads[0]])[0], [0.75, 0.25], atol=0.03)


@pytest.mark.parametrize("name", ["text", "sentences"])
@pytest.mark.parametrize("odd", ["", "  ?! ", "\ud800", "\x00", "日本語", "x" * 500])
def test_odd_texts_are_no_error(odd, name):
    learned = learn(name, [{"text": odd}, {"text": ""}] * 20, ["text"]).learned
    assert learned.predict_proba([{"text": "new words"}, {"text": odd}]).shape == (2, 3)
    assert load(learned.save()).predict_proba([]).shape == (0, 3)


def test_texts_are_encoded_alike_one_by_one_and_in_chunks(monkeypatch):
    encoder = text.LEARNER.fit_encoder(TEXTS, ["text"])
    whole = encoder.features(TEXTS).toarray()
    monkeypatch.setattr(text, "CHUNK", 3)
    np.testing.assert_array_equal(encoder.features(TEXTS).toarray(), whole)
    monkeypatch.setattr(text, "COMPILED", 1)
    np.testing.assert_allclose(encoder.features(TEXTS).toarray(), whole, atol=1e-6)


def test_the_most_frequent_terms_are_kept(monkeypatch):
    monkeypatch.setattr(text, "MOST_WORDS", 1)
    monkeypatch.setattr(text, "MOST_CHARACTERS", 0)
    encoder = text.LEARNER.fit_encoder([{"t": "cat"}, {"t": "dog"}, {"t": "dog"}], ["t"])
    assert encoder.features([{"t": "cat"}, {"t": "a dog"}]).toarray().tolist() == [[0.0], [1.0]]


def test_the_length_of_an_embedding_does_not_matter_and_zeros_lie_in_the_middle():
    encoder = LEARNERS["embeddings"].fit_encoder(VECTORS, ["vector"])
    tiny, huge, nothing = ({"vector": [scale * 0.1, scale * 3.0, scale * 0.1]} for scale in (1e-300, 1e300, 0.0))
    X = encoder.features([tiny, huge, nothing])
    np.testing.assert_allclose(X[0], X[1])
    assert X[2].tolist() == [0.0, 0.0, 0.0]


def test_a_vector_in_a_csv_file_is_text():
    encode = LEARNERS["embeddings"].fit_encoder(VECTORS, ["vector"]).features
    np.testing.assert_array_equal(encode([{"vector": "[1, 2.5, 3]"}]), encode([{"vector": [1, 2.5, 3]}]))


def test_brighter_pictures_of_more_contrast_have_the_same_edges():
    random = np.random.default_rng(0)
    image = random.random((9, 7))
    encode = LEARNERS["images"].fit_encoder([{"i": image.tolist()}], ["i"]).features
    plain, other = encode([{"i": image.tolist()}, {"i": (3.0 + 2.0 * image).tolist()}])[:, : 4 * 4 * 8]
    np.testing.assert_allclose(plain, other, atol=1e-9)
    turned = encode([{"i": image[::-1].tolist()}])[0, : 4 * 4 * 8]
    assert np.abs(plain - turned).max() > 0.05


def test_directions_turn_with_the_picture():
    """A quarter turn moves all strength by two of the eight directions, round the clock."""
    image = np.random.default_rng(0).random((8, 8))
    upright, turned = (
        (images.gradients(picture[None, :, :, None]) ** 2).reshape(16, 8).sum(axis=0)
        for picture in (image, np.rot90(image))
    )
    np.testing.assert_allclose(turned, np.roll(upright, -2), atol=1e-12)


def test_pixels_may_be_flat_rows_or_rows_of_colours():
    flat, rows = list(range(9)), [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    encode = LEARNERS["images"].fit_encoder([{"i": flat}], ["i"]).features
    np.testing.assert_array_equal(encode([{"i": flat}]), encode([{"i": rows}]))
    colours = LEARNERS["images"].fit_encoder([{"i": [[[1, 2, 3]] * 5] * 6}], ["i"])
    assert colours.features([{"i": [[[1, 2, 3]] * 5] * 6}]).shape == (1, 16 * (8 + 3))


def test_a_pool_streams_and_odd_tasks_are_left_out():
    learned = learn("numeric", *CASES["numeric"]).learned
    held = []

    def batches():
        for number in range(3):
            assert len(held) == number, "the next batch is asked for when the last one is done"
            yield f"batch {number}", [*NUMBERS[:number], {"x": "odd"}, *NUMBERS[:3]]

    for ids, rows, proba in predict_stream(learned, batches()):
        number = len(held)
        held.append(ids)
        assert rows.tolist() == [row for row in range(number + 4) if row != number]
        np.testing.assert_array_equal(proba[-3:], learned.predict_proba(NUMBERS[:3]))
    assert held == ["batch 0", "batch 1", "batch 2"]
    ((_, rows, proba),) = predict_stream(learned, [(0, [{}, {}])])
    assert rows.shape == (0,) and proba.shape == (0, 3)


@pytest.mark.parametrize(
    ("name", "payloads", "message"),
    [
        ("text", [{"text": "fine"}, {}], "row 1 has no field 'text'"),
        ("text", [{"text": 3}], "row 0, field 'text': not a text"),
        ("text", ["fine"], "row 0 is not an object"),
        ("sentences", [{"text": "fine"}, {"text": None}], "row 1, field 'text': not a text"),
        ("numeric", [{"text": [1, 2]}, {"text": [1]}], "row 1, field 'text': 1 numbers; expected 2"),
        ("numeric", [{"text": 1}, {"text": "one"}], "row 1, field 'text': not a finite number"),
        ("numeric", [{"text": 1}, {"text": float("nan")}], "row 1, field 'text': not a finite number"),
        ("numeric", [{"text": "[1, NaN]"}], "row 0, field 'text': not a finite number"),
        ("numeric", [{"text": "[" * 100_000}], "row 0, field 'text': not a finite number"),
        ("numeric", [{"text": True}], "row 0, field 'text': not a finite number"),
        ("numeric", [{"text": None}], "row 0, field 'text': not a finite number"),
        ("numeric", [{"text": [[1, 2], [3]]}], "row 0, field 'text': lists of different lengths"),
        ("numeric", [{"text": [1, True]}], "row 0, field 'text': not a finite number"),
        ("numeric", [{"text": [[1], [True]]}], "row 0, field 'text': not a finite number"),
        ("numeric", [{"text": 10**400}], "row 0, field 'text': not a finite number"),
        ("numeric", [], "no payloads"),
        ("embeddings", [{"text": [1, 2]}, {"text": [1, 2, 3]}], "row 1, field 'text': 3 numbers; expected 2"),
        ("images", [], "no payloads"),
        ("images", [{"text": [1, 2, 3]}], "row 0, field 'text': not the pixels of an image"),
        ("images", [{"text": [[1, 2]]}, {"text": [[1], [2]]}], "row 1, .* an image of 2 x 1 x 1; expected 1 x 2 x 1"),
        ("images", [{"text": [[0] * 600]}], "sides may be 1 to 512"),
        ("images", [{"text": []}], "not a finite number|sides may be"),
    ],
)
def test_a_bad_payload_is_named(name, payloads, message):
    fit = partial(LEARNERS[name].fit, payloads, Target.hard(np.zeros(len(payloads)), 2), ["text"])
    with pytest.raises(ValueError, match=message):
        fit()
