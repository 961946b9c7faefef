"""Freezing and forms: constants only, the same embeddings in every form, whatever the batch."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import facezoo
from facezoo.backbones import MobileFaceNet
from facezoo.models import model_fingerprint
from facezoo.models.description import describe
from facezoo.serving.formats import FORMS, TrainedModel
from facezoo.serving.frozen import freeze
from facezoo.serving.short_prelu import shorten_prelu

DIM = 6
NUM_CLASSES = 1000


def make_model(alpha=(-0.5, 1.0)):
    """A small model whose batch normalisation tells training from inference, with a large head."""
    keras.utils.set_random_seed(0)
    backbone = MobileFaceNet(**MobileFaceNet.TINY, name="tiny")
    head = facezoo.create_head("cosface", num_classes=NUM_CLASSES)
    model = facezoo.create_model(backbone, DIM, head)
    random = np.random.default_rng(0)
    for variable in model.variables:
        if "moving" in variable.path:
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
        if "alpha" in variable.path:
            variable.assign(random.uniform(*alpha, variable.shape))
    return model


def answer_of(model, image):
    return {name: values.numpy() for name, values in model(image, training=False).items()}


def assert_same(found, expected, atol=1e-5):
    assert set(found) == {"embedding", "norm"}
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=atol)


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def image(model):
    random = np.random.default_rng(1)
    return random.uniform(-1, 1, (3, *model.preprocessing.image_shape)).astype("float32")


@pytest.fixture(scope="module")
def trained(model, image):
    return TrainedModel(model, {**describe(model), "name": "little"}, np.tile(image, (4, 1, 1, 1)))


@pytest.fixture(scope="module")
def written(trained, tmp_path_factory):
    """Name of a form to its file; it is written when somebody asks first."""
    folder = tmp_path_factory.mktemp("forms")

    @functools.cache
    def write(name):
        path = folder / FORMS[name].path
        FORMS[name].write(trained, path)
        return path

    return write


class TestFreeze:
    def test_embeds_as_the_model_in_inference_mode(self, model, image):
        frozen = freeze(model)
        for rows in (3, 1):
            assert_same(frozen(tf.constant(image[:rows])), answer_of(model, image[:rows]))
        ((spec,), _) = frozen.structured_input_signature
        assert (spec.name, spec.dtype, spec.shape.as_list()) == (
            "image",
            tf.float32,
            [None, 16, 18, 3],
        )

    def test_holds_constants_and_no_head(self, model):
        frozen = freeze(model)
        assert not frozen.captured_inputs and not frozen.variables
        weights = [
            tf.make_ndarray(node.attr["value"].tensor)
            for node in frozen.graph.as_graph_def().node
            if node.op == "Const"
        ]
        assert max(map(np.size, weights)) < NUM_CLASSES * DIM
        used = [*model.backbone.variables, *model.embedding.variables]
        shapes = sorted(one.shape for one in weights if one.size > 1 and one.dtype == np.float32)
        assert all(tuple(one.shape) in shapes for one in used)

    def test_keeps_the_weights_it_found(self, image):
        model = make_model()
        expected = answer_of(model, image)
        frozen = freeze(model)
        for variable in model.variables:
            variable.assign(variable * 0.5)
        assert_same(frozen(tf.constant(image)), expected)


class TestShortPrelu:
    @staticmethod
    def operations(frozen):
        return [node.op for node in frozen.graph.as_graph_def().node]

    @pytest.mark.parametrize(("alpha", "short"), [((-0.5, 1.0), True), ((0.5, 1.5), False)])
    def test_where_no_alpha_is_above_1(self, image, alpha, short):
        model = make_model(alpha)
        num_prelu = sum(isinstance(one, keras.layers.PReLU) for one in model.backbone.layers)
        operations = self.operations(freeze(model))
        assert operations.count("Relu") == (0 if short else 2 * num_prelu)
        assert_same(freeze(model)(tf.constant(image)), answer_of(model, image))

    def test_the_same_to_the_last_bit(self, model, image):
        with_keras = freeze(model, short_prelu=False)
        assert "Neg" in self.operations(with_keras)
        assert_same(freeze(model)(tf.constant(image)), with_keras(tf.constant(image)), atol=0.0)

    def test_leaves_other_sums_alone(self):
        """Another x on the right than on the left is no PReLU."""
        spec = tf.TensorSpec([None, 4])
        alpha = tf.constant(0.5, shape=[4])

        @tf.function(input_signature=[spec, spec], autograph=False)
        def other(x, y):
            return tf.nn.relu(x) + tf.negative(alpha) * tf.nn.relu(-y)

        @tf.function(input_signature=[spec], autograph=False)
        def prelu(x):
            return tf.nn.relu(x) + tf.negative(tf.constant(0.5, shape=[4])) * tf.nn.relu(-x)

        def count(function):
            return shorten_prelu(function.get_concrete_function().graph.as_graph_def())

        assert (count(prelu), count(other)) == (1, 0)


class TestForms:
    @pytest.mark.parametrize(
        "name",
        [
            "keras",
            "tflite",
            pytest.param("saved_model", marks=pytest.mark.slow),
            pytest.param("onnx", marks=pytest.mark.slow),
        ],
    )
    def test_embeds_as_keras_whatever_the_batch(self, written, model, image, name):
        embed = FORMS[name].open(written(name))
        for rows in (3, 1, 2):
            assert_same(embed(image[:rows]), answer_of(model, image[:rows]))

    @pytest.mark.slow
    def test_integers_come_near(self, written, model, image):
        found = FORMS["tflite_int8"].open(written("tflite_int8"))(image)
        expected = answer_of(model, image)
        cosine = np.sum(found["embedding"] * expected["embedding"], axis=1)
        assert (cosine > 0.95).all()
        # In integers the length would be off by hundredths.
        length = np.linalg.norm(found["embedding"], axis=1)
        np.testing.assert_allclose(length, 1.0, atol=1e-5)

    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning")
    def test_integers_are_integers(self, written):
        interpreter = tf.lite.Interpreter(str(written("tflite_int8")))
        interpreter.allocate_tensors()
        types = {one["index"]: one["dtype"] for one in interpreter.get_tensor_details()}
        convolutions = [
            one for one in interpreter._get_ops_details() if one["op_name"].endswith("CONV_2D")
        ]
        assert convolutions
        for one in convolutions:
            assert {types[index] for index in (*one["inputs"][:2], *one["outputs"])} == {np.int8}
        assert interpreter.get_input_details()[0]["dtype"] == np.float32
        assert {one["dtype"] for one in interpreter.get_output_details()} == {np.float32}

    @pytest.mark.slow
    def test_onnx_names_and_facts(self, written, model):
        session = pytest.importorskip("onnxruntime").InferenceSession(written("onnx"))
        (given,), outputs = session.get_inputs(), session.get_outputs()
        assert given.name == "image" and given.shape[1:] == [16, 18, 3]
        assert not isinstance(given.shape[0], int)
        assert [one.name for one in outputs] == ["embedding", "norm"]
        facts = session.get_modelmeta().custom_metadata_map
        assert facts["name"] == "little"
        assert facts["model"] == model_fingerprint(model)
        assert facts["preprocessing"] == model.preprocessing.fingerprint()

    def test_the_same_bytes_again(self, written, trained, tmp_path):
        form = FORMS["tflite"]
        form.write(trained, tmp_path / form.path)
        assert (tmp_path / form.path).read_bytes() == written("tflite").read_bytes()

    def test_no_form_is_left_out_of_these_tests(self):
        assert set(FORMS) == {"keras", "saved_model", "tflite", "tflite_int8", "onnx"}
