"""Parity: training's way, the reloaded .keras file and every signature answer alike."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from facezoo import serving
from facezoo.data.align import align, arcface_template
from facezoo.data.dataset import image_dataset
from facezoo.data.images import UnreadableImage, decode_rgb, normalize
from facezoo.ops import uniform_scale
from tests.bad_pictures import bad_input, more_forms
from tests.served import make_thresholds
from tests.shards import record, write_shard
from tests.small_model import EMBEDDING_DIM, small_model

FORMS = {**bad_input(), **more_forms()}
# Training takes them and makes PNGs of them. TensorFlow's own pixels may differ.
ONLY_TRAINING = {"animated.webp", "plain.webp", "plain.bmp", "plain.gif", "plain.ppm"}
TOLERANCE = 1e-5


def normalized(data):
    try:
        return normalize(data)
    except UnreadableImage:
        return None


RECORDS = {name: normalized(data) for name, data in FORMS.items()}
READ = [name for name, one in RECORDS.items() if one is not None]
REFUSED = [name for name, one in RECORDS.items() if one is None]
SERVED = [name for name in READ if name not in ONLY_TRAINING]


def as_numpy(answer):
    return {name: np.asarray(values) for name, values in answer.items()}


def close(found, expected):
    np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=TOLERANCE)


class World:
    """One model in all its forms, and what training makes of every form of picture."""

    def __init__(self, folder):
        self.model = small_model(None)
        self.thresholds = make_thresholds(self.model)
        serving.export_saved_model(self.model, folder / "1", thresholds=self.thresholds)
        self.model.save(folder / "model.keras")
        self.signatures = tf.saved_model.load(str(folder / "1")).signatures
        records = [
            record(number, 0, encoded=one.encoded, format=one.format)
            for number, one in enumerate(RECORDS[name] for name in READ)
        ]
        shard = write_shard(folder / "data.tfrecord", records)
        self.image, _ = next(iter(image_dataset([shard], self.model.preprocessing, len(READ))))
        self.rows = [READ.index(name) for name in SERVED]
        self.trained = as_numpy(self.model(self.image, training=False))
        self.reloaded = keras.models.load_model(folder / "model.keras")

    def ask(self, signature, **inputs):
        """Answers; whatever takes many rows must take none."""
        call = self.signatures[signature]
        nothing = call(**{name: values[:0] for name, values in inputs.items()})
        assert all(len(values) == 0 for values in nothing.values())
        return as_numpy(call(**inputs))

    def expected(self, name):
        """Of the forms that serving takes."""
        return self.trained[name][self.rows]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("parity"))


def everything():
    """All forms in one batch: good ones among broken ones."""
    return tf.constant(list(FORMS.values()))


def test_the_forms_tell_a_wrong_picture_from_the_right_one(world):
    assert len(REFUSED) >= 9
    assert len(SERVED) >= 30
    one, other = (SERVED.index(f"turned_{number}.png") for number in (1, 2))
    embedding = world.expected("embedding")
    assert np.abs(embedding[one] - embedding[other]).max() > 1e-2


def test_the_reloaded_model(world):
    for name, values in world.reloaded(world.image, training=False).items():
        close(values, world.trained[name])


def test_bytes_among_bytes_that_are_none(world):
    names = np.array(list(FORMS))
    for signature in ("serving_default", "embed_bytes"):
        found = world.ask(signature, image_bytes=everything())
        assert sorted(names[found["valid"]]) == sorted(SERVED)
        for name in ("embedding", "norm"):
            close(found[name][found["valid"]], world.expected(name))
            assert not found[name][~found["valid"]].any()


def test_the_pixels_of_each_form(world):
    for name in READ:
        pixels = decode_rgb(FORMS[name])[np.newaxis]
        found = world.ask("embed_image", image=tf.constant(pixels))
        close(found["embedding"][0], world.trained["embedding"][READ.index(name)])
        close(found["norm"][0], world.trained["norm"][READ.index(name)])


def test_the_standardised_image(world):
    found = world.signatures["embed"](image=world.image)
    for name, values in found.items():
        close(values, world.trained[name])


def test_both_mirror_images(world):
    found = world.ask("embed_flip", image_bytes=everything())
    image = world.image.numpy()[world.rows]
    mirrored = as_numpy(world.model(image[:, :, ::-1], training=False))
    total = world.expected("embedding") + mirrored["embedding"]
    valid = found["valid"]
    assert valid.sum() == len(SERVED)
    close(found["embedding"][valid], total / np.linalg.norm(total, axis=1, keepdims=True))
    close(found["norm"][valid], (world.expected("norm") + mirrored["norm"]) / 2)


def test_faces_cut_out_by_landmarks(world):
    points = np.random.default_rng(0).normal(0, 0.5, (len(FORMS), 5, 2))
    points = (points + 8 * arcface_template(1, 1).numpy()).astype(np.float32)
    found = world.ask("embed_landmarks", image_bytes=everything(), landmarks=points)
    assert found["valid"].sum() == len(SERVED)
    size = world.model.preprocessing.image_shape[:2]
    rows = [list(FORMS).index(name) for name in SERVED]
    crops = [
        align(tf.constant(decode_rgb(FORMS[name])), tf.constant(points[row]), *size)
        for name, row in zip(SERVED, rows, strict=True)
    ]
    image = world.model.preprocessing.standardize(tf.stack(crops))
    for name, values in world.model(image, training=False).items():
        close(found[name][rows], values)


def test_bytes_out(world):
    found = world.ask("embed_128", image_bytes=everything())
    valid = found["valid"]
    code = np.array([np.frombuffer(text, np.int8) for text in found["embedding_bytes"]])
    assert code.shape == (len(FORMS), EMBEDDING_DIM)
    assert not code[~valid].any()
    # Half a step for rounding, and what lies beyond the largest code.
    scale = uniform_scale(EMBEDDING_DIM)
    apart = np.abs(code[valid] * scale - world.expected("embedding")).max()
    assert apart <= max(scale / 2 + TOLERANCE, 1 - 127 * scale)
    close(found["norm"][valid], world.expected("norm"))


def test_pairs(world):
    """Every form with the plain one."""
    plain = FORMS["plain.png"]
    found = world.ask(
        "verify_pair",
        first_bytes=everything(),
        second_bytes=tf.constant([plain] * len(FORMS)),
    )
    valid = found["valid"]
    assert valid.sum() == len(SERVED)
    embedding = world.expected("embedding").astype(np.float64)
    distance = np.sum((embedding - embedding[SERVED.index("plain.png")]) ** 2, axis=1)
    close(found["distance"][valid], distance)
    assert not any(values[~valid].any() for values in found.values())


def test_bad_landmarks_harm_no_other_row(world):
    points = np.tile(20 * arcface_template(1, 1).numpy(), (4, 1, 1))
    points[1] = 7
    points[2, 0, 0] = np.nan
    pictures = tf.constant([FORMS["plain.png"]] * 4)
    found = world.ask("embed_landmarks", image_bytes=pictures, landmarks=points)
    assert found["valid"].tolist() == [True, False, False, True]
    np.testing.assert_allclose(np.linalg.norm(found["embedding"], axis=1), [1, 0, 0, 1], atol=1e-6)


def test_more_first_pictures_than_second(world):
    plain = tf.constant([FORMS["plain.png"]])
    with pytest.raises(tf.errors.InvalidArgumentError):
        world.ask("verify_pair", first_bytes=tf.repeat(plain, 2), second_bytes=plain)
