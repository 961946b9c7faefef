"""Converted models embed as the originals do, array for array and on photographs."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from facezoo import conversion, create_model, registry
from facezoo.backbones import MobileFaceNet
from facezoo.conversion.convert import _weights
from facezoo.conversion.insightface import Insightface
from tests import foreign_networks
from tests.foreign_networks import unit, v1

SHARED = Path(__file__).parents[2] / "shared"
CLOSE = {"rtol": 0, "atol": 1e-5}
LFW = SHARED / "data" / "lfw" / "images"


def real_weights(name):
    path = SHARED / "weights" / name
    if not path.is_file():
        pytest.skip(f"weights/{name} is not here")
    return path


CASIA = "mobilefacenet_pytorch_casia_068.ckpt"
Y1 = "mobilefacenet_y1_arcface_128.npz"
VGGFACE2 = "facenet_inception_resnet_v1_20180402_vggface2_fp16.npz"


def pixels(model, size=2):
    return np.random.default_rng(1).integers(0, 256, (size, *model.backbone.image_shape), np.uint8)


def embed(model, images):
    return np.asarray(model(model.preprocessing.standardize(images), training=False)["embedding"])


def channels_first(images, scale=128.0):
    return ((images.astype(np.float64) - 127.5) / scale).transpose(0, 3, 1, 2)


def run_torch(network, images):
    import torch

    with torch.no_grad():
        return network(torch.from_numpy(images.astype(np.float32))).numpy()


def save_npz(path, arrays):
    np.savez(path, **arrays)
    return path


class TestMobileFaceNet:
    def test_pytorch_checkpoint(self):
        torch = pytest.importorskip("torch", reason="extra backends: torch")
        path = real_weights(CASIA)
        model = conversion.convert_weights(path)
        assert model.backbone.image_shape == (112, 96, 3)
        assert [tuple(row) for row in model.backbone.stages] == [
            (2, 64, 5, 2),
            (4, 128, 1, 2),
            (2, 128, 6, 1),
            (4, 128, 1, 2),
            (2, 128, 2, 1),
        ]
        state = torch.load(path, weights_only=True, map_location="cpu")["net_state_dict"]
        arrays = {name: tensor.numpy() for name, tensor in state.items()}
        images = pixels(model)
        expected = foreign_networks.mobilefacenet_pytorch(arrays, channels_first(images))
        np.testing.assert_allclose(embed(model, images), expected, **CLOSE)

    @pytest.mark.slow
    def test_mxnet_arrays(self):
        path = real_weights(Y1)
        model = conversion.convert_weights(path)
        assert model.backbone.image_shape == (112, 112, 3)
        images = pixels(model)
        expected = foreign_networks.mobilefacenet_mxnet(dict(np.load(path)), channels_first(images))
        np.testing.assert_allclose(embed(model, images), expected, **CLOSE)

    def test_border_rules_are_two(self):
        with pytest.raises(ValueError, match='"same" or "symmetric". Received: \'valid\''):
            MobileFaceNet(**MobileFaceNet.TINY, padding="valid")

    def test_small_mxnet_arrays_with_bias_and_tiny_variances(self, tmp_path):
        arrays = foreign_networks.small_y1(np.random.default_rng(0))
        model = conversion.convert_weights(save_npz(tmp_path / "y1.npz", arrays))
        assert model.backbone.image_shape == (32, 24, 3)
        assert model.backbone.stages == [[2, 8, 3, 2], [4, 12, 1, 2], [2, 12, 1, 1]]
        images = pixels(model)
        expected = foreign_networks.mobilefacenet_mxnet(arrays, channels_first(images))
        np.testing.assert_allclose(embed(model, images), expected, **CLOSE)


@pytest.fixture(scope="class")
def facenet(tmp_path_factory):
    """A network of TensorFlow 1: its files, its variables, and what it makes of two images."""
    folder = tmp_path_factory.mktemp("facenet")
    with tf.Graph().as_default() as graph, v1.Session() as session:
        v1.set_random_seed(0)
        image = v1.placeholder(tf.float32, [None, 160, 160, 3])
        foreign_networks.slim_inception_resnet_v1(image, embedding_dim=128)
        network = v1.global_variables()
        # What else a checkpoint holds: none of it belongs to the network.
        for name in ("weights/ExponentialMovingAverage", "weights/Momentum"):
            v1.get_variable(f"InceptionResnetV1/Conv2d_1a_3x3/{name}", [3, 3, 3, 32])
        v1.get_variable("Logits/weights", [128, 10])
        v1.get_variable("global_step", initializer=np.int64(7))
        session.run(v1.global_variables_initializer())
        images = np.random.default_rng(2).integers(0, 256, (2, 160, 160, 3), np.uint8)
        standardised = (images - np.float32(127.5)) / np.float32(128)
        expected = session.run("embeddings:0", {image: standardised})
        variables = dict(zip((one.op.name for one in network), session.run(network), strict=True))
        v1.train.Saver().save(session, str(folder / "model.ckpt-7"))
        frozen = v1.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), ["embeddings"]
        )
    (folder / "frozen.pb").write_bytes(frozen.SerializeToString())
    return folder, variables, images, expected


@pytest.mark.slow
class TestInceptionResNetV1:
    def check(self, path, layout, facenet):
        _, _, images, expected = facenet
        recognized = conversion.recognize(path)
        assert recognized.name() == layout
        model = conversion.fill(recognized)
        assert model.embedding.embedding_dim == 128
        np.testing.assert_allclose(embed(model, images), expected, **CLOSE)

    def test_the_original_tells_images_apart(self, facenet):
        first, second = facenet[3]
        assert np.abs(first - second).max() > 100 * CLOSE["atol"]

    def test_frozen_graph(self, facenet):
        self.check(facenet[0] / "frozen.pb", "davidsandberg", facenet)

    @pytest.mark.parametrize("name", ["", "model.ckpt-7"])
    def test_checkpoint(self, facenet, name):
        self.check(facenet[0] / name, "davidsandberg", facenet)

    def test_arrays_by_keras_names(self, facenet, tmp_path):
        renamed = {foreign_networks.keras_name(name): value for name, value in facenet[1].items()}
        self.check(save_npz(tmp_path / "keras.npz", renamed), "keras_facenet", facenet)

    def test_facenet_pytorch(self, tmp_path):
        torch = pytest.importorskip("torch", reason="extra backends: torch")
        torch.manual_seed(0)
        network = foreign_networks.facenet_pytorch_network()
        if network is None:
            pytest.skip("facenet-pytorch is not installed")
        path = tmp_path / "state.pt"
        # With the classifier that its own weight files bring along.
        classifier = {"logits.weight": torch.zeros(9, 512), "logits.bias": torch.zeros(9)}
        torch.save({**network.state_dict(), **classifier}, path)
        model = conversion.convert_weights(path)
        assert sum(np.prod(one.shape) for one in model.trainable_weights) == 23_482_624
        images = pixels(model)
        expected = run_torch(network, channels_first(images))
        np.testing.assert_allclose(embed(model, images), expected, **CLOSE)


class TestInsightface:
    @pytest.mark.parametrize("gamma", [1.0, 1.5])
    def test_iresnet18(self, gamma, tmp_path):
        torch = pytest.importorskip("torch", reason="extra backends: torch")
        torch.manual_seed(0)
        network = foreign_networks.insightface_iresnet((2, 2, 2, 2))
        network.features.weight.data[::2] = gamma
        torch.save(network.state_dict(), tmp_path / "backbone.pth")
        model = conversion.convert_weights(tmp_path / "backbone.pth")
        assert model.name == "iresnet18"
        assert model.embedding.batch_norm == ("fixed" if gamma == 1 else True)
        images = pixels(model)
        expected = unit(run_torch(network, channels_first(images, 127.5)))
        np.testing.assert_allclose(embed(model, images), expected, **CLOSE)

    def test_depths_that_nobody_published(self):
        names = (
            "conv1.weight",
            "features.weight",
            "fc.weight",
            "bn2.weight",
            "layer2.4.bn1.weight",
        )
        shapes = ((64, 3, 3, 3), (512,), (512, 25088), (512,), (64,))
        arrays = {name: np.ones(shape) for name, shape in zip(names, shapes, strict=True)}
        with pytest.raises(
            ValueError, match=r"\(0, 5, 0, 0\)\. Published: iresnet18 \(2, 2, 2, 2\)"
        ):
            Insightface(arrays, "file").create_model()


def photographs(num_people, num_images):
    """The first people of LFW with enough photographs, and all of them as one list."""
    people = [
        folder for folder in sorted(LFW.iterdir()) if len(list(folder.iterdir())) >= num_images
    ]
    files = [
        file for folder in people[:num_people] for file in sorted(folder.iterdir())[:num_images]
    ]
    return [file.parent.name for file in files], [Image.open(file).convert("RGB") for file in files]


def crop(picture, shape, height=130):
    """The middle of a picture, of the network's proportions."""
    width = height * shape[1] // shape[0]
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    box = (left, top, left + width, top + height)
    return np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR, box))


@pytest.mark.slow
@pytest.mark.skipif(not LFW.is_dir(), reason="data/lfw is not here")
@pytest.mark.parametrize(("name", "auc"), [(CASIA, 0.95), (Y1, 0.97), (VGGFACE2, 0.99)])
def test_real_weights_tell_people_apart(name, auc):
    """On middles of photographs, not aligned: less than published, far more than chance."""
    path = real_weights(name)
    if path.suffix == ".ckpt":
        pytest.importorskip("torch", reason="extra backends: torch")
    model = conversion.convert_weights(path)
    people, pictures = photographs(num_people=20, num_images=4)
    images = np.stack([crop(picture, model.backbone.image_shape) for picture in pictures])
    embedding = embed(model, images)
    first, second = np.triu_indices(len(people), 1)
    cosine = np.sum(embedding[first] * embedding[second], 1)
    same = np.equal(*(np.asarray(people)[side] for side in (first, second)))
    genuine, impostor = cosine[same], cosine[~same]
    assert np.mean(genuine[:, None] > impostor) > auc
    assert genuine.mean() > impostor.mean() + 0.4


def test_every_layout_has_a_source_and_a_signature():
    layouts = registry.parts("layout")
    assert len(layouts) == 6
    for layout in layouts.values():
        assert layout.recognizes(layout.SIGNATURE)
        assert len(layout.SOURCE) > 10
        others = set(layouts.values()) - {layout}
        assert not any(other.recognizes(layout.SIGNATURE) for other in others)


def test_every_weight_is_visited():
    """`fill` knows every part of the embedding output that a layout's model can have."""
    for name in ("mobilefacenet", "iresnet18"):
        model = create_model(name)
        visited = [id(weight) for _, _, weight in _weights(model)]
        assert sorted(visited) == sorted(id(weight) for weight in model.weights), name
