"""FaceModel: one contract for every model, and back from disk unchanged."""

import keras
import numpy as np
import pytest

import facezoo
from facezoo import presets
from facezoo.data.preprocessing import Preprocessing
from facezoo.models import describe

TINY_NN2 = dict(facezoo.backbones.NN2.TINY)
TINY_MOBILE = dict(facezoo.backbones.MobileFaceNet.TINY)
TINIES = [("nn2", TINY_NN2), ("mobilefacenet", TINY_MOBILE)]


def tiny(name="mobilefacenet", head=None, **options):
    overrides = dict(TINIES)[name]
    return facezoo.create_model(name, embedding_dim=6, head=head, **overrides, **options)


def images(model, count=4):
    shape = (count, *model.backbone.image_shape)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("name", ["nn2", "mobilefacenet"])
def test_output_is_a_unit_embedding_and_its_norm(name):
    model = tiny(name)
    output = model(images(model), training=False)
    assert sorted(output) == ["embedding", "norm"]
    lengths = np.linalg.norm(output["embedding"], axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)
    assert output["norm"].shape == (4,) and (np.asarray(output["norm"]) > 0).all()


@pytest.mark.parametrize("name", ["nn2", "mobilefacenet"])
def test_a_saved_model_comes_back_with_head_and_preprocessing(name, tmp_path):
    head = facezoo.create_head("cosface", num_classes=3, margin=0.1)
    shape = dict(TINIES)[name]["image_shape"]
    model = tiny(name, head, preprocessing=Preprocessing(*shape[:2], "per_image"))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    image = images(model)
    for key, value in model(image).items():
        np.testing.assert_array_equal(value, again(image)[key])
    assert again.preprocessing == model.preprocessing
    np.testing.assert_array_equal(again.head.centers, model.head.centers)


def test_a_preset_folder_comes_back_and_its_bytes_do_not_depend_on_the_time(tmp_path):
    model = tiny()
    model.save_preset(tmp_path / "a")
    model.save_preset(tmp_path / "b")
    files = [(tmp_path / one / "model.keras").read_bytes() for one in "ab"]
    assert files[0] == files[1]
    again = facezoo.FaceModel.from_preset(tmp_path / "a")
    image = images(model)
    np.testing.assert_array_equal(model(image)["embedding"], again(image)["embedding"])


def test_a_preset_without_weights_gives_the_architecture():
    model = facezoo.FaceModel.from_preset("mobilefacenet")
    assert model.backbone.name == "mobilefacenet" and model.embedding.pooling == "depthwise"


def test_weights_bound_to_another_preprocessing_are_refused(tmp_path):
    tiny().save_preset(tmp_path)
    path = tmp_path / "preset.json"
    path.write_text(path.read_text().replace('"fixed"', '"per_image"'))
    with pytest.raises(ValueError, match="another preprocessing"):
        facezoo.FaceModel.from_preset(tmp_path)


def test_preprocessing_of_another_size_is_refused():
    with pytest.raises(ValueError, match="backbone's size"):
        tiny(preprocessing=Preprocessing(8, 8))


def test_a_loss_on_classes_uses_the_head_and_a_loss_on_embeddings_does_not():
    model = tiny(head=facezoo.create_head("cosface", num_classes=2, scale=8.0))
    image, label = images(model), np.array([0, 0, 1, 1], np.int32)
    before = np.array(model.head.centers)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), cross_entropy)
    logs = model.train_on_batch(image, label, return_dict=True)
    assert set(logs) == {"loss", "class_accuracy"}
    assert not np.array_equal(before, model.head.centers)

    before = np.array(model.head.centers)
    model.compile(keras.optimizers.SGD(0.1), facezoo.TripletSemiHardLoss(0.2, "squared-L2"))
    model.head.trainable = False
    embedding = model(image, training=True)["embedding"]
    logs = model.train_on_batch(image, label, return_dict=True)
    assert "loss" in logs and "class_accuracy" not in logs
    assert np.array_equal(before, model.head.centers)
    assert 0 < logs["loss"] < 4 and embedding.shape == (4, 6)


def test_names_are_listed_and_unknown_ones_answered_with_the_nearest():
    assert {"nn2", "nn4", "mobilefacenet"} <= set(facezoo.list_parts("backbone"))
    assert "cosface" in facezoo.list_parts("head")
    with pytest.raises(ValueError, match="Did you mean 'mobilefacenet'"):
        facezoo.create_backbone("mobilfacenet")
    with pytest.raises(ValueError, match="Known kinds"):
        facezoo.list_parts("shoe")


def test_a_preset_tells_the_variant_and_every_argument(tmp_path):
    head = facezoo.create_head("cosface", num_classes=3, margin=0.1)
    model = facezoo.create_model("nn4_small2", head=head, image_shape=(80, 65, 3))
    described = describe(model)
    assert described["backbone"]["name"] == "nn4_small2"
    assert described["backbone"]["overrides"]["image_shape"] == [80, 65, 3]
    assert described["head"] == {"name": "cosface", "num_classes": 3, "margin": 0.1, "scale": 64.0}
    presets.save(tmp_path, described)
    again = facezoo.FaceModel.from_preset(tmp_path)
    assert describe(again) == described
