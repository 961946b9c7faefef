"""ExpertModel: a second network for the faces that a trained one has little to say about."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from facezoo import shapes
from facezoo.contracts import Backbone, MarginHead
from facezoo.layers.norm_gate import NormGate
from facezoo.models.create import create_model
from facezoo.models.face_model import FaceModel
from facezoo.ops import Tensor, l2_normalize


@keras.saving.register_keras_serializable("facezoo")
class ExpertModel(FaceModel):
    """A hard-example expert: `features = g(easy features) + own features`.

    The easy model was trained before, and stays as it is: it runs as at inference and gets no
    gradient. Every image goes through both networks. Where the easy model is sure, that is where
    its features are long, g brings them to unit length and adds them, so that the second network
    learns what is missing; where they are short, g is 0, and the second network stands alone.

    Args:
        args: As for `FaceModel`: the second network, and the head on the sum.
        easy: The trained model, for the same images and as long an embedding. It is frozen: its
            `trainable` becomes False. Its head and losses are not used.
        easy_gate: Which features of the easy model are long; default `NormGate(5.0)`.
        kwargs: As for `FaceModel`.

    Call:
        image: float32 [B, H, W, 3], standardised by `preprocessing.standardize`.
        training: bool, for the second network and for a running threshold of the gate.

    Returns:
        `{"embedding": float32 unit [B, D], "norm": float32 [B]}`, direction and length of the sum.

    Raises:
        ValueError: The easy model takes other images, or its embedding has another length.

    Example:
        >>> from facezoo.models import create_head, create_model
        >>> easy = create_model("mobilefacenet")
        >>> head = create_head("sphereface", num_classes=9)
        >>> expert = ExpertModel.of(easy, "nn4_small2", head, image_shape=(112, 112, 3))
        >>> expert.embedding.embedding_dim == easy.embedding.embedding_dim
        True
        >>> any(weight.trainable for weight in expert.easy.weights)
        False

    Source:
        The hard-example network of the published Caffe systems (norm select, element-wise sum with
        a frozen easy network); no paper.
    """

    def __init__(
        self, *args: Any, easy: FaceModel, easy_gate: NormGate | None = None, **kwargs: Any
    ) -> None:
        if easy_gate is None:
            easy_gate = NormGate()
        if not easy_gate.built:
            easy_gate.build((None, easy.embedding.embedding_dim))
        super().__init__(*args, parts={"easy": easy, "easy_gate": easy_gate}, **kwargs)
        self.easy.trainable = False
        # TensorFlow skips an assignment that changes nothing, and with it the layers inside of one
        # that was loaded frozen.
        for weight in self.easy.weights:
            weight.trainable = False
        expected = (self.preprocessing, self.embedding.embedding_dim)
        received = (easy.preprocessing, easy.embedding.embedding_dim)
        if received != expected:
            raise ValueError(
                "easy must take the same images as the second network and make as long an "
                f"embedding. Expected: {expected[0]}, {expected[1]} numbers. "
                f"Received: {received[0]}, {received[1]} numbers. `ExpertModel.of` makes a second "
                "network that fits."
            )

    @classmethod
    def of(
        cls,
        easy: FaceModel,
        backbone: str | Backbone,
        head: MarginHead | None = None,
        easy_gate: NormGate | None = None,
        **options: Any,
    ) -> "ExpertModel":
        """Makes one with a fresh second network that fits a trained model.

        Args:
            easy: The trained model, which is frozen.
            backbone: Of the second network: name of a variant, or a backbone.
            head: For a loss on classes.
            easy_gate: Which features of the easy model are long; default `NormGate(5.0)`.
            options: As for `create_model`: `embedding`, `auxiliary_loss`, the backbone's arguments.

        Raises:
            ValueError: A name is unknown, or an argument out of range.
        """
        embedding_dim = easy.embedding.embedding_dim
        second = create_model(backbone, embedding_dim, head, easy.preprocessing, **options)
        return cls(
            second.backbone,
            second.embedding,
            second.head,
            second.preprocessing,
            second.auxiliary_loss,
            easy=easy,
            easy_gate=easy_gate,
            name=second.name,
        )

    def call(self, image: Tensor, training: bool | None = None) -> dict[str, Tensor]:
        known = ops.stop_gradient(_features(self.easy(image, training=False)))
        sure, _ = l2_normalize(self.easy_gate(known, training=training)["features"])
        features = sure + _features(super().call(image, training=training))
        embedding, norm = l2_normalize(features)
        return {shapes.EMBEDDING: embedding, shapes.NORM: norm}

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "easy": serialize(self.easy),
            "easy_gate": serialize(self.easy_gate),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ExpertModel":
        """Makes the model, with fresh weights, from what `get_config` returned."""
        deserialize = keras.saving.deserialize_keras_object
        parts = {key: deserialize(config[key]) for key in ("easy", "easy_gate")}
        return super().from_config({**config, **parts})


def _features(output: Mapping[str, Tensor]) -> Tensor:
    return output[shapes.EMBEDDING] * output[shapes.NORM][:, None]
