"""Online hard example mining: what is selected, and that a step learns from just that."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import facezoo
from facezoo.mining import box_iou, select_hard
from facezoo.ops import cosine_similarity
from tests.small_model import images, small_model

LOSS = np.array([0.3, 0.9, 0.1, 0.7, 0.5, 0.8], "float32")
TINY = facezoo.backbones.MobileFaceNet.TINY


def chosen(*arguments, **options):
    index, is_chosen = select_hard(*arguments, **options)
    return index.numpy()[is_chosen.numpy()].tolist()


def greedy(loss, num_hard, similarity, max_similarity):
    """Non-maximum suppression as its definition says."""
    kept = []
    for index in np.argsort(-loss):
        if all(similarity[index, other] <= max_similarity for other in kept):
            kept.append(int(index))
    return kept[:num_hard]


def test_the_highest_losses_hardest_first():
    assert chosen(LOSS, num_hard=3) == [1, 5, 3]


def test_a_smaller_batch_is_selected_whole():
    assert chosen(LOSS, num_hard=9) == [1, 5, 3, 4, 0, 2]


def test_the_very_highest_are_taken_for_noise():
    assert chosen(LOSS, num_hard=2, noisy_fraction=0.34) == [3, 4]
    assert chosen(LOSS, num_hard=2, noisy_fraction=0.1) == [1, 5]


def test_a_share_that_is_a_whole_number_is_not_rounded_down():
    # In float32 22 * (13 / 22) is below 13.
    for size, number in ((10, 7), (22, 13), (37, 3)):
        loss = np.arange(float(size))
        assert chosen(loss, num_hard=1, noisy_fraction=number / size) == [size - 1 - number]


def test_of_two_alike_the_harder_is_chosen():
    similarity = np.eye(6)
    similarity[1, 5] = similarity[5, 1] = 0.8
    assert chosen(LOSS, 3, similarity) == [1, 3, 4]
    assert chosen(LOSS, 3, similarity, max_similarity=0.8) == [1, 5, 3]


def test_noise_suppresses_nothing():
    assert chosen(LOSS, 6, np.ones((6, 6)), noisy_fraction=0.2) == [5]


def test_what_fills_the_batch_is_the_hardest_of_the_rest():
    index, is_chosen = select_hard(LOSS, 4, np.ones((6, 6)), noisy_fraction=0.2)
    assert index.numpy().tolist() == [5, 3, 4, 0]
    assert is_chosen.numpy().tolist() == [True, False, False, False]


@pytest.mark.parametrize("kind", ["boxes", "faces"])
def test_equal_to_greedy_suppression(kind):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        corner, size = rng.random((40, 2)), rng.random((40, 2))
        boxes, faces = np.concatenate([corner, corner + size], axis=1), rng.normal(size=(40, 3))
        similarity = (
            box_iou(boxes) if kind == "boxes" else cosine_similarity(faces, faces)
        ).numpy()
        loss, limit = rng.random(40), {"boxes": 0.3, "faces": 0.6}[kind]
        for num_hard in (1, 8, 40):
            wanted = greedy(loss, num_hard, similarity, limit)
            assert chosen(loss, num_hard, similarity, max_similarity=limit) == wanted


def test_overlap_of_boxes():
    boxes = np.array([[0, 0, 4, 4], [2, 0, 6, 4], [9, 9, 10, 10], [1, 1, 1, 5]], "float32")
    wanted = np.eye(4)
    wanted[0, 1] = wanted[1, 0] = 8 / 24
    wanted[3, 3] = 0.0
    np.testing.assert_allclose(box_iou(boxes), wanted, rtol=1e-6)


def test_unknown_batch_size():
    signature = [tf.TensorSpec([None]), tf.TensorSpec([None, None])]
    compiled = tf.function(lambda *batch: select_hard(batch[0], 3, batch[1]), signature)
    for size in (2, 6):
        index, _ = compiled(LOSS[:size], np.eye(6, dtype="float32")[:size, :size])
        assert index.numpy().tolist() == np.argsort(-LOSS[:size])[:3].tolist()


@pytest.mark.parametrize("wrong", [{"num_hard": 0}, {"num_hard": 1, "noisy_fraction": 1.0}])
def test_impossible_selections_are_refused(wrong):
    with pytest.raises(ValueError, match="Received: "):
        select_hard(LOSS, **wrong)
    with pytest.raises(ValueError, match="Received: "):
        facezoo.HardExampleModel.of(small_model(None), **wrong)


def cosface(**arguments):
    return facezoo.create_head("cosface", num_classes=4, scale=4.0, **arguments)


def cross_entropy(**options):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, **options)


def compiled(model):
    model.compile(keras.optimizers.SGD(1.0), cross_entropy())
    return model


def changes(model, *batch, sample_weight=None):
    before = model.get_weights()
    model.train_on_batch(*batch, sample_weight=sample_weight)
    return [old - new for old, new in zip(before, model.get_weights(), strict=True)]


def test_gradient_of_the_masked_mean():
    """As if all had been run, and the loss of the others been zeroed; the divisor is k."""
    image, label = images(12), np.arange(12, dtype="int32") % 4
    weight = np.linspace(0.5, 1.5, 12).astype("float32")
    model = small_model(cosface())
    with tf.GradientTape() as tape:
        output = model(image, training=True)
        logits = model.head(output["embedding"], output["norm"], label, training=True)
        losses = cross_entropy(reduction=None)(label, logits)
        hardest = np.argsort(-losses.numpy())[:5]
        mask = np.isin(np.arange(12), hardest).astype("float32")
        mean = tf.reduce_sum(mask * weight * losses) / 5
    wanted = tape.gradient(mean, [one.value for one in model.trainable_weights])
    hard = compiled(facezoo.HardExampleModel.of(model, num_hard=5, max_similarity=None))
    found = changes(hard, image, label, sample_weight=weight)
    for change, gradient in zip(found, wanted, strict=True):
        np.testing.assert_allclose(change, gradient, atol=1e-6)


def tiny():
    """With batch normalisation; the same weights every time."""
    keras.utils.set_random_seed(1)
    return facezoo.create_model("mobilefacenet", 6, cosface(), **TINY)


def test_statistics_see_the_selected_only():
    shape = TINY["image_shape"]
    image = np.random.default_rng(3).normal(size=(10, *shape)).astype("float32")
    label = np.arange(10, dtype="int32") % 4
    hard = compiled(facezoo.HardExampleModel.of(tiny(), num_hard=4, max_similarity=None))
    chosen_image, chosen_label, weight = hard.select((image, label))
    assert weight.numpy().tolist() == [1.0] * 4
    plain = compiled(tiny())
    wanted = changes(plain, chosen_image, chosen_label)
    for one, other in zip(changes(hard, image, label), wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_near_duplicates_of_an_identity_are_learnt_once():
    image, label = images(8), np.arange(8, dtype="int32") % 4
    image[4] = image[0]
    image[5] = image[2]
    hard = compiled(facezoo.HardExampleModel.of(small_model(cosface()), num_hard=8))
    chosen_image, chosen_label, weight = hard.select((image, label))
    # Of 0 and 4 one counts; 5 shows 2 under another label and counts.
    assert np.count_nonzero(weight) == 7
    assert np.mean(weight) == pytest.approx(1.0)
    left_out = np.flatnonzero(weight == 0)[0]
    assert chosen_label[left_out] == 0
    np.testing.assert_array_equal(chosen_image[left_out], image[0])


def test_wrong_labels_are_left_out():
    model = small_model(cosface())
    image, label = images(8), np.arange(8, dtype="int32") % 4
    output = model(image)
    losses = cross_entropy(reduction=None)(label, model.head(*output.values(), label)).numpy()
    options = {"num_hard": 3, "max_similarity": None, "noisy_fraction": 0.25}
    _, chosen_label, _ = compiled(facezoo.HardExampleModel.of(model, **options)).select(
        (image, label)
    )
    assert chosen_label.numpy().tolist() == label[np.argsort(-losses)[2:5]].tolist()


def test_auxiliary_loss_and_penalty_decide_as_well():
    model = small_model(facezoo.create_head("magface", num_classes=4, scale=4.0))
    auxiliary = facezoo.create_auxiliary_loss("center", num_classes=4, weight=0.5)
    model = facezoo.FaceModel(model.backbone, model.embedding, model.head, None, auxiliary)
    image, label = images(8), np.arange(8, dtype="int32") % 4
    hard = compiled(facezoo.HardExampleModel.of(model, num_hard=2))
    output = model(image)
    per_sample = hard._sample_losses(label, output)
    wanted = hard.compute_loss(image, label, output, training=False)
    assert float(tf.reduce_mean(per_sample)) == pytest.approx(float(wanted), rel=1e-5)


def test_fit_evaluate_save_and_load(tmp_path):
    image, label = images(12), np.arange(12, dtype="int32") % 4
    hard = compiled(facezoo.HardExampleModel.of(small_model(cosface()), num_hard=3))
    hard.fit(image, label, batch_size=5, epochs=2, verbose=0)
    everything = hard.evaluate(image, label, batch_size=12, verbose=0, return_dict=True)["loss"]
    output = hard(image)
    wanted = cross_entropy()(label, hard.head(*output.values(), label))
    assert everything == pytest.approx(float(wanted), rel=1e-5)
    hard.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again) is facezoo.HardExampleModel
    for option in ("num_hard", "max_similarity", "noisy_fraction"):
        assert getattr(again, option) == getattr(hard, option)
    np.testing.assert_array_equal(again(image)["embedding"], output["embedding"])


def test_a_loss_on_pairs_is_refused():
    hard = facezoo.HardExampleModel.of(small_model(None), num_hard=3)
    hard.compile(loss=facezoo.TripletSemiHardLoss())
    with pytest.raises(ValueError, match="judges every sample by itself.*TripletSemiHardLoss"):
        hard.select((images(4), np.arange(4, dtype="int32")))
