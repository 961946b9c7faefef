"""What every head must do, whatever its margin."""

import inspect
import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.checks import assert_config_is_whole, file_name, golden, oracle, precision
from tests.oracles import points
from tests.small_model import images, small_model

DIM = points.head_embedding().shape[1]
NUM_CLASSES = points.head_centers().shape[1]
EMBEDDING = points.head_embedding().astype("float32")
NORM = np.linspace(0.5, 30.0, len(EMBEDDING)).astype("float32")
LABEL = points.HEAD_LABEL.astype("int32")
NOBODY = np.full_like(LABEL, -1)
POLICIES = {
    "float16": tf.float16,
    "bfloat16": tf.bfloat16,
    "mixed_float16": tf.float16,
    "mixed_bfloat16": tf.bfloat16,
    "float32": tf.float32,
    "float64": tf.float64,
}


def _head(cls, state=None, **arguments):
    head = cls(**{**cls.TINY, "num_classes": NUM_CLASSES, **arguments})
    head.build((None, DIM))
    shape = tuple(head.centers.shape)
    num_centers = np.prod(shape, dtype=int) // DIM
    centers = points.head_centers(num_centers)
    head.centers.assign(centers if shape == (DIM, num_centers) else centers.T)
    for name, value in {**getattr(oracle(cls), "STATE", {}), **(state or {})}.items():
        getattr(head, name).assign(np.resize(value, getattr(head, name).shape))
    return head


def _weights(head):
    return {weight.name: np.float64(weight) for weight in head.weights}


def _expected(head, embedding=EMBEDDING, norm=NORM, label=LABEL):
    """The oracle's logits in float64."""
    inputs = np.float64(embedding), np.float64(norm), label
    return oracle(type(head)).logits(*inputs, head.get_config(), _weights(head))


def _cross_entropy(label, logits):
    return keras.losses.sparse_categorical_crossentropy(label, logits, from_logits=True)


def _loss(head, embedding, norm, label, training=False):
    """What FaceModel minimises."""
    logits = head(embedding, norm, label, training=training)
    loss = tf.reduce_mean(_cross_entropy(head.columns(label, training), logits))
    penalty = head.penalty(norm, label)
    return loss if penalty is None else loss + tf.cast(tf.reduce_mean(penalty), loss.dtype)


def _gradients(head, embedding, norm, label, training=False):
    """The loss, and its gradients in embedding, norm and weights."""
    embedding, norm = tf.convert_to_tensor(embedding), tf.convert_to_tensor(norm)
    with tf.GradientTape() as tape:
        tape.watch([embedding, norm])
        loss = _loss(head, embedding, norm, label, training)
    sources = [embedding, norm, *(weight.value for weight in head.trainable_weights)]
    found = tape.gradient(loss, sources, unconnected_gradients="zero")
    return loss, [tf.convert_to_tensor(one) for one in found]


def check_declares_source(cls):
    assert len(cls.SOURCE) > 10


def check_shape_of_logits(cls):
    for size in (1, 6):
        logits = _head(cls)(EMBEDDING[:size], NORM[:size], LABEL[:size])
        assert logits.shape == (size, NUM_CLASSES)


def check_unknown_batch_size(cls):
    head = _head(cls)
    signature = [
        tf.TensorSpec([None, DIM]),
        tf.TensorSpec([None]),
        tf.TensorSpec([None], tf.int32),
    ]
    compiled = tf.function(head.call, input_signature=signature)
    np.testing.assert_allclose(
        compiled(EMBEDDING, NORM, LABEL), head(EMBEDDING, NORM, LABEL), rtol=1e-5, atol=1e-5
    )


def check_only_target_column_changes(cls):
    head = _head(cls)
    other = np.arange(NUM_CLASSES)[None, :] != LABEL[:, None]
    found, plain = (head(EMBEDDING, NORM, label).numpy() for label in (LABEL, NOBODY))
    np.testing.assert_array_equal(found[other], plain[other])


def check_target_never_rises(cls):
    head = _head(cls)
    angle = np.linspace(0.0, np.pi, 101)
    turn = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    # From the centre of the own class to the point opposite, along a great circle.
    own, side = np.linalg.qr(points.head_centers()[:, [LABEL[0], LABEL[2]]])[0].T
    own *= np.sign(own @ points.head_centers()[:, LABEL[0]])
    embedding = np.float32(turn @ [own, side])
    label, norm = np.full(101, LABEL[0]), np.resize(NORM, 101)
    found, plain = (head(embedding, norm, one).numpy() for one in (label, 0 * label - 1))
    assert np.all(found[:, LABEL[0]] <= plain[:, LABEL[0]] + 1e-4)


def check_without_margin_the_label_does_not_matter(cls):
    head = _head(cls, **oracle(cls).NO_MARGIN)
    found, plain = (head(EMBEDDING, NORM, label) for label in (LABEL, NOBODY))
    np.testing.assert_allclose(found, plain, rtol=1e-5, atol=1e-5)


def check_equals_oracle(cls):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        embedding = rng.normal(size=(20, DIM)).astype("float32")
        embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
        norm = rng.uniform(0.5, 150.0, 20).astype("float32")
        label = rng.integers(-1, NUM_CLASSES + 1, 20)
        head = _head(cls)
        found = head(embedding, norm, label)
        expected = _expected(head, embedding, norm, label)
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-4)


def check_golden_cross_entropy(cls):
    for case in golden(file_name(cls))["cases"]:
        head = _head(cls, case.get("state"), **case["arguments"])
        norm = (case.get("norm_factor", 1.0) * points.head_norm()).astype("float32")
        label = np.array(case.get("label", LABEL), "int32")
        values = _cross_entropy(label, head(EMBEDDING, norm, label)).numpy()
        # Above 64 two float32 neighbours are 7.6e-6 and more apart.
        tolerance = {"abs": 1e-5, "rel": 2e-7}
        if "cross_entropy" in case:
            assert values.mean() == pytest.approx(case["cross_entropy"], **tolerance), case
        for sample, value in case.get("per_sample", {}).items():
            assert values[int(sample)] == pytest.approx(value, **tolerance), case


def check_gradient_equals_finite_differences(cls):
    head, step = _head(cls), 1e-6
    _, (found, *_) = _gradients(head, EMBEDDING, NORM, LABEL)

    def loss(embedding):
        logits = _expected(head, embedding)
        top = logits.max(axis=1, keepdims=True)
        partition = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
        return (partition - logits[np.arange(len(LABEL)), LABEL]).mean()

    numeric = np.zeros(EMBEDDING.shape)
    for index in np.ndindex(EMBEDDING.shape):
        moved = np.zeros(EMBEDDING.shape)
        moved[index] = step
        numeric[index] = (loss(EMBEDDING + moved) - loss(EMBEDDING - moved)) / (2 * step)
    np.testing.assert_allclose(found, numeric, rtol=1e-3, atol=1e-3 * np.abs(numeric).max())


def _assert_finite(cls, embedding, norm=NORM, label=LABEL, **arguments):
    for policy, dtype in POLICIES.items():
        with precision(policy):
            head = _head(cls, **arguments)
            for training in (False, True):
                inputs = tf.cast(embedding, dtype), tf.cast(norm, dtype), label
                loss, gradients = _gradients(head, *inputs, training)
                for value in (loss, *gradients, *head.weights):
                    assert np.all(np.isfinite(np.float64(value))), (policy, training, value)


def _own_centers(cls):
    """Unit centres of the samples' classes: with several per class, the first."""
    centers = np.array(_head(cls).centers)
    rows = centers if centers.shape[1] == DIM else centers.T
    own = rows[LABEL * (len(rows) // NUM_CLASSES)]
    return np.float32(own / np.linalg.norm(own, axis=1, keepdims=True))


def check_finite_at_cosine_1(cls):
    _assert_finite(cls, _own_centers(cls))


def check_finite_at_cosine_minus_1(cls):
    _assert_finite(cls, -_own_centers(cls))


def check_finite_at_zero_embedding(cls):
    _assert_finite(cls, 0.0 * EMBEDDING, 0.0 * NORM)


def check_finite_at_norm_0(cls):
    _assert_finite(cls, EMBEDDING, 0.0 * NORM)


def check_finite_at_norm_1e4(cls):
    _assert_finite(cls, EMBEDDING, 0.0 * NORM + 1e4)


def check_finite_at_equal_embeddings(cls):
    _assert_finite(cls, np.repeat(EMBEDDING[:1], len(LABEL), axis=0))


def check_finite_for_batch_of_1(cls):
    _assert_finite(cls, EMBEDDING[:1], NORM[:1], LABEL[:1])


def check_finite_for_1_class(cls):
    state = {"bias": [0.5]} if "bias" in getattr(oracle(cls), "STATE", {}) else {}
    _assert_finite(cls, EMBEDDING, NORM, 0 * LABEL, num_classes=1, state=state)


def check_finite_at_zero_centers(cls):
    head = _head(cls)
    head.centers.assign(0.0 * head.centers)
    for value in _gradients(head, EMBEDDING, NORM, LABEL)[1]:
        assert np.all(np.isfinite(value))


@pytest.mark.slow
def check_compiled_by_xla(cls):
    """`fit` compiles with XLA, where 0 * inf in a gradient is NaN."""
    own = _own_centers(cls)
    ends = np.concatenate([own[:3], -own[3:]])
    for training in (False, True):
        compiled = tf.function(_gradients, jit_compile=True)
        found, expected = (
            [loss, *gradients]
            for loss, gradients in (
                step(_head(cls), EMBEDDING, NORM, LABEL, training)
                for step in (compiled, _gradients)
            )
        )
        for value, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())
        for value in compiled(_head(cls), ends, NORM, LABEL, training)[1]:
            assert np.all(np.isfinite(value))


def check_centers_learn(cls):
    head = _head(cls)
    gradient = _gradients(head, EMBEDDING, NORM, LABEL)[1][2].numpy()
    rows = gradient if gradient.shape[1] == DIM else gradient.T
    assert np.all(np.any(rows.reshape(NUM_CLASSES, -1) != 0.0, axis=1))


def check_label_outside_is_masked(cls):
    head, expected = _head(cls), _head(cls)(EMBEDDING, NORM, LABEL).numpy()
    for outside in (-1, NUM_CLASSES):
        label = LABEL.copy()
        label[2] = outside
        logits = head(EMBEDDING, NORM, label).numpy()
        np.testing.assert_allclose(
            logits[2], _expected(head, label=NOBODY)[2], rtol=1e-5, atol=1e-5
        )
        np.testing.assert_array_equal(logits[[0, 1, 3]], expected[[0, 1, 3]])


def check_bad_labels_raise(cls):
    for label in (LABEL[:, None], np.eye(NUM_CLASSES, dtype="int32")[LABEL], np.float16(LABEL)):
        with pytest.raises(
            ValueError, match=r"label must be int \[B\].*Received: label with shape"
        ):
            _head(cls)(EMBEDDING, NORM, label)


def check_same_logits_under_every_precision_policy(cls):
    expected = _head(cls)(EMBEDDING, NORM, LABEL)
    for policy in POLICIES:
        with precision(policy):
            head = _head(cls)
            logits = head(EMBEDDING, NORM, LABEL)
        assert logits.dtype == tf.float32
        assert all(
            weight.dtype == "float32" for weight in head.weights if "seed" not in weight.name
        )
        np.testing.assert_array_equal(logits, expected)


def check_state_moves_in_training_only(cls):
    head = _head(cls)
    before = _weights(head)
    head(EMBEDDING, NORM, LABEL)
    for name, value in _weights(head).items():
        np.testing.assert_array_equal(value, before[name])
    head(EMBEDDING, NORM, LABEL, training=True)
    for weight in head.non_trainable_weights:
        assert np.any(np.array(weight) != before[weight.name]), weight.name


def check_config_round_trip(cls):
    head = _head(cls)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert again.get_config() == head.get_config()
    assert_config_is_whole(cls, head.get_config())


def check_state_saved_and_restored(cls):
    """Of a model that has been trained a step, with the head inside."""
    model = small_model(_head(cls))
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01), cross_entropy, jit_compile=False)
    model.train_on_batch(images(len(LABEL)), LABEL)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        again = keras.models.load_model(path)
    for name, value in _weights(model.head).items():
        np.testing.assert_array_equal(value, _weights(again.head)[name], err_msg=name)
    heads = (model.head, again.head)
    np.testing.assert_array_equal(*(head(EMBEDDING, NORM, LABEL) for head in heads))


def check_bad_num_classes_raises(cls):
    with pytest.raises(ValueError, match="num_classes must be at least 1"):
        cls(**{**cls.TINY, "num_classes": 0})


def check_bad_scale_raises(cls):
    if "scale" not in inspect.signature(cls.__init__).parameters:
        return
    with pytest.raises(ValueError, match="scale must be above 0"):
        cls(**{**cls.TINY, "scale": 0.0})
