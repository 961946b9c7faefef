"""Templates and pair distances equal the slow formulas; nothing without a direction passes."""

import tracemalloc

import numpy as np
import pytest

from facezoo.data.pairs import all_pairs
from facezoo.evaluation import templates
from facezoo.evaluation.templates import pair_distances, template_embeddings
from facezoo.protocols import SET_RULES, Protocol, image_pairs

_NUM_TEMPLATES, _DIM = 9, 6


def make_protocol(set_rule, seed=0):
    """Templates of one to five images of up to three media; images may be shared."""
    random = np.random.default_rng(seed)
    sizes = random.integers(1, 6, _NUM_TEMPLATES)
    if set_rule == "single":
        sizes[:] = 1
    template = np.repeat(np.arange(_NUM_TEMPLATES), sizes)
    image = random.permutation(len(template))
    pair = [(i, j) for i in range(_NUM_TEMPLATES) for j in range(_NUM_TEMPLATES) if i != j]
    same = random.random(len(pair)) < 0.5
    return Protocol(
        "random",
        image=[f"image {number}" for number in range(len(template))],
        member_image=image,
        member_template=template,
        member_media=random.integers(0, 3, len(template)),
        pair=pair,
        same=same,
        person=np.full(_NUM_TEMPLATES, -1),
        set_rule=set_rule,
    )


def make_embedding(num_images, seed=1, dim=_DIM):
    embedding = np.random.default_rng(seed).normal(size=(num_images, dim))
    return (embedding / np.linalg.norm(embedding, axis=1, keepdims=True)).astype(np.float32)


def slow_template(protocol, embedding, norm, number):
    """One template as the set rules say, one image after the other."""
    members = [
        (int(media), embedding[image].astype(np.float64) * norm[image])
        for image, template, media in zip(
            protocol.member_image, protocol.member_template, protocol.member_media, strict=True
        )
        if template == number
    ]
    vectors = [vector for _, vector in members]
    if protocol.set_rule == "media_mean":
        vectors = [
            np.mean([vector for media, vector in members if media == one], axis=0)
            for one in sorted({media for media, _ in members})
        ]
        total = np.sum(vectors, axis=0)
    else:
        total = np.mean(vectors, axis=0)
    return total if protocol.set_rule == "mean_similarity" else total / np.linalg.norm(total)


def slow_distance(protocol, embedding, norm, first, second):
    if protocol.set_rule == "mean_similarity":
        images = [protocol.member_image[protocol.member_template == t] for t in (first, second)]
        cosines = [embedding[a] @ embedding[b] for a in images[0] for b in images[1]]
        return 2 - 2 * np.mean(cosines)
    one, other = (slow_template(protocol, embedding, norm, t) for t in (first, second))
    return np.sum((one - other) ** 2)


@pytest.mark.parametrize("block", [1, 20, 2**22])
@pytest.mark.parametrize(
    ("set_rule", "weighed"),
    [*((rule, False) for rule in SET_RULES), ("mean_embedding", True), ("media_mean", True)],
)
def test_templates_and_distances_equal_the_slow_formulas(monkeypatch, set_rule, block, weighed):
    monkeypatch.setattr(templates, "_BLOCK", block)
    for seed in range(3):
        protocol = make_protocol(set_rule, seed)
        embedding = make_embedding(protocol.num_images)
        norm = np.random.default_rng(seed).uniform(1, 30, protocol.num_images)
        given, used = (norm, norm) if weighed else (None, np.ones_like(norm))
        found = template_embeddings(protocol, embedding, given)
        expected = [slow_template(protocol, embedding, used, t) for t in range(_NUM_TEMPLATES)]
        np.testing.assert_allclose(found, expected, atol=1e-6)
        distance = pair_distances(protocol, embedding, given)
        expected = [slow_distance(protocol, embedding, used, *pair) for pair in protocol.pair]
        np.testing.assert_allclose(distance, expected, atol=1e-6)
        assert (found.dtype, distance.dtype) == (np.float32, np.float32)


def test_norms_and_media_matter():
    embedding = np.eye(3, dtype=np.float32)
    fields = {
        "image": ("a", "b", "c"),
        "member_image": [0, 1, 2, 0],
        "member_template": [0, 0, 0, 1],
        "member_media": [4, 4, 9, 4],
        "pair": [[0, 1], [1, 0]],
        "same": [True, False],
        "person": [-1, -1],
    }
    by_media = template_embeddings(Protocol("x", **fields, set_rule="media_mean"), embedding)
    np.testing.assert_allclose(by_media[0], np.array([0.5, 0.5, 1.0]) / 1.5**0.5, atol=1e-7)
    mean = Protocol("x", **fields, set_rule="mean_embedding")
    np.testing.assert_allclose(template_embeddings(mean, embedding)[0], 3**-0.5, atol=1e-7)
    weighed = template_embeddings(mean, embedding, norm=[3.0, 4.0, 1e-9])
    np.testing.assert_allclose(weighed[0], [0.6, 0.8, 0.0], atol=1e-6)


def test_distances_of_images_are_those_of_all_pairs():
    embedding = make_embedding(12)
    label = np.repeat(np.arange(4), 3)
    pairs = [(f"{i}", f"{j}") for i in range(12) for j in range(i + 1, 12)]
    same = [bool(label[int(i)] == label[int(j)]) for i, j in pairs]
    protocol = image_pairs("x", pairs, same, {})
    distance = pair_distances(protocol, embedding)
    genuine, impostor = all_pairs(embedding, label)
    np.testing.assert_allclose(distance[protocol.same], genuine, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(distance[~protocol.same], impostor, rtol=1e-6)


def test_equal_and_opposite_embeddings():
    pairs = [("a", "b"), ("a", "c")]
    protocol = image_pairs("x", pairs, [True, False], {})
    one = make_embedding(1)[0]
    distance = pair_distances(protocol, [one, one, -one])
    assert 0.0 <= distance[0] < 1e-12
    assert distance[1] == pytest.approx(4.0, abs=1e-6)


def test_rounding_does_not_lead_below_zero():
    number = np.arange(100)
    protocol = Protocol(
        "twins",
        image=[str(one) for one in number],
        member_image=number,
        member_template=number,
        member_media=number,
        pair=number.reshape(-1, 2),
        same=number[:50] < 25,
        person=np.full(100, -1),
        set_rule="mean_similarity",
    )
    embedding = np.repeat(make_embedding(50), 2, axis=0)
    assert np.max(np.sum(embedding.astype(float) ** 2, axis=1)) > 1.0
    distance = pair_distances(protocol, embedding)
    assert 0.0 == distance.min() < distance.max() < 1e-6


@pytest.mark.parametrize("set_rule", ["mean_embedding", "media_mean"])
@pytest.mark.parametrize("media", [[0, 0, 7, 7], [0, 0, 7, 8]])
@pytest.mark.parametrize("block", [1, 2**22])
def test_a_template_without_direction_is_named(monkeypatch, set_rule, media, block):
    monkeypatch.setattr(templates, "_BLOCK", block)
    protocol = Protocol(
        "x",
        image=("a", "b", "c", "d"),
        member_image=[0, 1, 2, 3],
        member_template=[0, 1, 2, 2],
        member_media=media,
        pair=[[0, 1], [1, 2]],
        same=[True, False],
        person=[-1] * 3,
        set_rule=set_rule,
    )
    embedding = make_embedding(4)
    embedding[3] = -embedding[2] * np.float32(1 + 1e-7)
    message = r"Template 2 has no direction.*2 images sum to zero. Its images: c, d\."
    with pytest.raises(ValueError, match=message):
        pair_distances(protocol, embedding)


@pytest.mark.parametrize("set_rule", SET_RULES)
@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 2.0])
def test_embeddings_that_are_not_of_unit_length_are_named(set_rule, value):
    protocol = make_protocol(set_rule)
    embedding = make_embedding(protocol.num_images)
    embedding[4] *= value
    with pytest.raises(ValueError, match=r"unit length. Received: 1 of \d+ .*images: image 4\."):
        template_embeddings(protocol, embedding)


@pytest.mark.parametrize("shape", [(3, _DIM), (5,), (0, _DIM), (5, 0)])
def test_embeddings_of_another_shape_are_refused(shape):
    protocol = image_pairs("x", [("a", "b"), ("c", "d"), ("d", "e")], [True, False, False], {})
    with pytest.raises(ValueError, match=r"embedding must be \[5, D\]"):
        pair_distances(protocol, np.ones(shape))


def test_norms_that_do_not_fit_are_refused():
    protocol = make_protocol("media_mean")
    embedding, norm = make_embedding(protocol.num_images), np.ones(protocol.num_images)
    with pytest.raises(ValueError, match="norm must be"):
        template_embeddings(protocol, embedding, norm[:-1])
    for value in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="positive. Received: 1 others.*image 3"):
            template_embeddings(protocol, embedding, np.where(np.arange(len(norm)) == 3, value, 1))
    for set_rule in ("single", "mean_similarity"):
        protocol = make_protocol(set_rule)
        embedding = make_embedding(protocol.num_images)
        with pytest.raises(ValueError, match="Leave it out"):
            template_embeddings(protocol, embedding, np.ones(protocol.num_images))


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(templates, "_BLOCK", 2**14)
    num_templates, num_pairs, dim = 200, 20_000, 256
    random = np.random.default_rng(0)
    first = random.integers(0, num_templates // 2, num_pairs)
    template = np.repeat(np.arange(num_templates), 20)
    protocol = Protocol(
        "large",
        image=[str(number) for number in range(len(template))],
        member_image=np.arange(len(template)),
        member_template=template,
        member_media=template,
        pair=np.stack([first, first + num_templates // 2], axis=1),
        same=np.arange(num_pairs) % 2 == 0,
        person=np.full(num_templates, -1),
        set_rule="media_mean",
    )
    embedding = make_embedding(len(template), dim=dim)
    tracemalloc.start()
    distance = pair_distances(protocol, embedding)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The squares of the embeddings would take 4 MB, the pairs gathered at once 40 MB.
    assert peak < distance.nbytes + num_templates * dim * 4 + 1_500_000
