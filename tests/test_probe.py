"""The probe: embedding it, its hardest triplets and what the projector shows of it."""

import io

import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from facezoo.training.hard_triplets import Triplet, draw_triplets, hardest_triplets
from facezoo.training.probe import Embedded, Probe, distance_matrix, embed, split_pairs
from facezoo.training.projector import thumbnail_size, write_projector
from tests.photographs import photograph
from tests.small_model import SHAPE, small_model

LABEL = np.array([0, 0, 1, 1, 2])


def faces(height=24, width=20, **changes):
    image = np.stack([photograph(seed, height, width) for seed in range(5)])
    return Probe(**{"image": image, "label": LABEL, **changes})


def picture(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


@pytest.mark.parametrize("batch_size", [1, 2, 5, 64])
def test_the_embedding_is_that_of_each_image_alone(batch_size):
    model = small_model(None)
    image = np.random.default_rng(0).integers(0, 256, (5, *SHAPE), dtype=np.uint8)
    found = embed(model, Probe(image, LABEL, batch_size=batch_size))
    for row in range(5):
        alone = model(model.preprocessing.standardize(image[row : row + 1]))
        np.testing.assert_allclose(found.embedding[row], alone["embedding"][0], rtol=1e-5)
        np.testing.assert_allclose(found.norm[row], alone["norm"][0], rtol=1e-5)


def test_pairs_are_split_by_kind():
    embedding = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    distances = distance_matrix(embedding)
    wanted = np.sum((embedding[:, None] - embedding[None]) ** 2, axis=-1)
    np.testing.assert_allclose(distances, wanted, rtol=1e-5)
    genuine, impostor = split_pairs(distances, LABEL)
    assert genuine.tolist() == [distances[0, 1], distances[2, 3]]
    assert impostor.tolist() == [
        distances[pair] for pair in [(0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4), (2, 4), (3, 4)]
    ]


def test_the_hardest_triplet_of_each_identity_the_worst_first():
    label = np.array([7, 7, 7, 3, 3, 5])
    points = np.array([0.0, 1.0, 4.0, 4.5, 6.0, 9.0])
    distances = np.abs(points[:, None] - points[None])
    found = hardest_triplets(distances, label, 8)
    # 7: from 4.0, back to 0.0 past 4.5; 3: from 4.5 to 6.0 past 4.0; 5 has no second image.
    assert found == [Triplet(2, 0, 3, 4.0, 0.5), Triplet(3, 4, 2, 1.5, 0.5)]
    assert hardest_triplets(distances, label, 1) == found[:1]


def test_triplets_are_drawn_with_their_images_and_mistakes_in_red():
    shown = faces(128, 128)
    right, wrong = Triplet(0, 1, 2, 0.1, 0.2), Triplet(3, 2, 4, 0.2, 0.1)
    sheet = picture(draw_triplets([right, wrong], shown))
    top = 6
    for row, triplet in enumerate((right, wrong)):
        for column, index in enumerate(triplet[:3]):
            left = 6 + column * (128 + 6)
            cell = sheet[top : top + 128, left : left + 128]
            np.testing.assert_array_equal(cell, shown.image[index])
        captions = sheet[top + 128 : top + 156].astype(int)
        assert bool((captions[..., 0] - captions[..., 1] > 100).any()) == bool(row)
        assert (captions.sum(axis=-1) < 200).any()
        top += 128 + 2 * 14 + 6


@pytest.mark.parametrize(("height", "width"), [(24, 20), (112, 96), (300, 160)])
def test_small_faces_are_enlarged_and_none_is_distorted(height, width):
    sheet = picture(draw_triplets([Triplet(0, 1, 2, 0.1, 0.2)], faces(height, width)))
    cell_width = (sheet.shape[1] - 4 * 6) / 3
    cell_height = sheet.shape[0] - 2 * 6 - 2 * 14
    assert cell_width == max(width, 128)
    assert cell_height / cell_width == pytest.approx(height / width, rel=0.01)


def test_the_projector_is_told_vectors_names_and_thumbnails(tmp_path):
    shown = faces(name=["Anna", "Anna\t2", "Ben\n1", "Ben 2", "Cleo"])
    vectors = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    write_projector(tmp_path, shown, Embedded(vectors, np.arange(5, dtype=np.float32)))
    config = text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), ProjectorConfig())
    (one,) = config.embeddings
    found = np.loadtxt(tmp_path / one.tensor_path, delimiter="\t")
    np.testing.assert_allclose(found, vectors, rtol=1e-6)
    assert (tmp_path / one.metadata_path).read_text("utf-8").splitlines() == [
        "name\tlabel\tnorm",
        "Anna\t0\t0",
        "Anna 2\t0\t1",
        "Ben 1\t1\t2",
        "Ben 2\t1\t3",
        "Cleo\t2\t4",
    ]
    width, height = one.sprite.single_image_dim
    sprite = picture((tmp_path / one.sprite.image_path).read_bytes())
    assert (height, width) == (24, 20) and sprite.shape == (3 * 24, 3 * 20, 3)
    for index, image in enumerate(shown.image):
        top, left = index // 3 * height, index % 3 * width
        np.testing.assert_array_equal(sprite[top : top + height, left : left + width], image)
    assert not list(tmp_path.glob("*.partial"))


def test_thumbnails_are_small_and_fit_into_one_picture():
    assert thumbnail_size(100, 112, 96) == (64, 54)
    assert thumbnail_size(100, 20, 30) == (20, 30)
    assert thumbnail_size(40_000, 112, 112) == (40, 40)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": LABEL[:4]}, r"image \(5, 24, 20, 3\), label \(4,\)"),
        ({"image": np.zeros((5, 24, 20))}, r"image \(5, 24, 20\)"),
        ({"name": ["a"]}, "1 names"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"label": np.arange(5)}, "5 people, at most 1 images"),
        ({"label": np.zeros(5, int)}, "1 people, at most 5 images"),
        ({"image": np.zeros((0, 2, 2, 3)), "label": []}, "0 people, at most 0 images"),
    ],
)
def test_impossible_probes_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        faces(**change)
