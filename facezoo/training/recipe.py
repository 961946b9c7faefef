"""A recipe: all that decides what a training makes of its images, as plain data."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_type_hints

import keras

from facezoo.data.augment import Augmentation
from facezoo.losses import GivenTripletsLoss, TripletSemiHardLoss
from facezoo.models import FaceModel, create_model
from facezoo.training.heads import make_margin_head, make_softmax_head, within_sets
from facezoo.training.mined_batches import MinedBatches
from facezoo.training.offline_mining import OfflineMining
from facezoo.training.schedule import Schedule
from facezoo.training.stage import Stage

if TYPE_CHECKING:
    from facezoo.training.training_sets import Batches

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
STAGES = ("softmax", "margin", "triplet", "offline")


@dataclass(frozen=True)
class SoftmaxStage(Schedule):
    """Cross-entropy on plain logits, whose class weights the margin head begins with."""


@dataclass(frozen=True)
class MarginStage(Schedule):
    """Cross-entropy on the logits of a margin head.

    Args:
        head: Name of the head.
        margin: The head's margin, in the head's unit, if it has one.
        scale: Factor in front of the cosine.
    """

    head: str = "cosface"
    margin: float = 0.2
    scale: float = 16.0


@dataclass(frozen=True)
class TripletStage(Schedule):
    """`TripletSemiHardLoss`.

    Args:
        margin: In units of `distance_metric`.
        distance_metric: FaceNet's is `"squared-L2"`.
    """

    margin: float = 0.2
    distance_metric: str = "squared-L2"


@dataclass(frozen=True)
class OfflineStage(OfflineMining, Schedule):
    """`GivenTripletsLoss` on triplets mined offline; see `OfflineMining`.

    Args:
        margin: In units of `distance_metric`.
        distance_metric: FaceNet's is `"squared-L2"`, by which the triplets are mined, too.
    """

    margin: float = 0.2
    distance_metric: str = "squared-L2"

    def __post_init__(self) -> None:
        Schedule.__post_init__(self)
        OfflineMining.__post_init__(self)


@dataclass(frozen=True)
class Recipe:
    """What is trained, on which batches, in which stages.

    Args:
        backbone: Variant of the zoo; it is built at the size of the crops.
        embedding_dim: Length of the embedding.
        embedding_pooling: See `EmbeddingOutput`; "" for what the backbone was published with.
        embedding_batch_norm: Whether batch normalisation follows the embedding's dense layer.
        standardization: See `Preprocessing`.
        batch_size: Images per batch, P x K + R; of every data set, if there are several.
        images_per_identity: K.
        num_negatives: R, images of people of whom the batch has no other.
        few_images: What becomes of people with fewer than K images; see `IdentitySampler`.
        augmentation: Random changes to the images.
        softmax: First stage, left out by default.
        margin: Second stage.
        triplet: Third stage.
        offline: Fourth stage, left out by default.
        concat: Whether data sets in the same shards are trained side by side, each with a head of
            its own, like those that are given one by one; otherwise they count as one set.
        loss_weights: Of several data sets, above 0, as text such as `"0.7,0.3"`; "" for equal ones.
        cross_set_negatives: Whether people of different data sets are told apart.
        duplicates: File with pairs of people who are not, in any case; see `read_duplicates`. Name
            its whole path where several machines train.
        precision: `"float32"`, `"mixed_bfloat16"`, or `"mixed_float16"` with a scaled loss.
        strategy: See `create_distribution`.
        synchronized_batch_norm: Whether batch normalisation sees the rows of all replicas.
        num_chunks: Pieces that each replica's rows are cut into to save memory; see `CachedSteps`.
        checkpoint_every: Steps between two checkpoints; 0 for the ends of stages only.
        seed: Decides initial weights, batches and augmentation.

    Raises:
        ValueError: A value is out of range, or `batch_size` is not P x K + R.
    """

    backbone: str = "nn4_small2"
    embedding_dim: int = 128
    embedding_pooling: str = ""
    embedding_batch_norm: bool = True
    standardization: str = "per_image"
    batch_size: int = 40
    images_per_identity: int = 4
    num_negatives: int = 0
    few_images: str = "repeat"
    augmentation: Augmentation = Augmentation()
    softmax: SoftmaxStage = field(default_factory=lambda: SoftmaxStage(0, 1e-3))
    margin: MarginStage = field(default_factory=lambda: MarginStage(20, 1e-3))
    triplet: TripletStage = field(default_factory=lambda: TripletStage(4, 1e-4))
    offline: OfflineStage = field(default_factory=lambda: OfflineStage(0, 1e-4))
    concat: bool = False
    loss_weights: str = ""
    cross_set_negatives: bool = False
    duplicates: str = ""
    precision: str = "float32"
    strategy: str = "auto"
    synchronized_batch_norm: bool = False
    num_chunks: int = 1
    checkpoint_every: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        rest = self.batch_size - self.num_negatives
        if self.num_negatives < 0 or rest < 1 or rest % self.images_per_identity:
            raise ValueError(
                "batch_size less num_negatives must be a multiple of images_per_identity. Received:"
                f" {self.batch_size}, {self.num_negatives} and {self.images_per_identity}."
            )
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"precision must be one of {', '.join(PRECISIONS)}. Received: {self.precision!r}."
            )
        _ = self.weight_per_set  # Refuses what is no number now.

    @property
    def num_identities(self) -> int:
        """P, people per batch."""
        return (self.batch_size - self.num_negatives) // self.images_per_identity

    @property
    def weight_per_set(self) -> list[float] | None:
        """The numbers in `loss_weights`; None for equal ones."""
        if not self.loss_weights:
            return None
        try:
            return [float(weight) for weight in self.loss_weights.split(",")]
        except ValueError as error:
            raise ValueError(
                "loss_weights must be one number for each data set, such as '0.7,0.3'. "
                f"Received: {self.loss_weights!r}."
            ) from error

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Recipe":
        """Makes the recipe from what `dataclasses.asdict` returned.

        Raises:
            ValueError: A key is unknown, or a value out of range.
        """
        hints = get_type_hints(cls)
        if unknown := sorted(set(content) - set(hints)):
            raise ValueError(
                f"A recipe has no {', '.join(unknown)}. It has: {', '.join(sorted(hints))}."
            )
        return cls(
            **{
                key: hints[key](**value) if dataclasses.is_dataclass(hints[key]) else value
                for key, value in content.items()
            }
        )


def make_model(
    recipe: Recipe, batches: "Batches", duplicates: Sequence[Sequence[int]] = ()
) -> FaceModel:
    """Returns the untrained model with its margin head.

    Args:
        recipe: What to train.
        batches: For the people and the size of the images.
        duplicates: See `make_margin_head`.
    """
    return create_model(
        recipe.backbone,
        recipe.embedding_dim,
        head=make_margin_head(recipe, batches, duplicates),
        preprocessing=batches.preprocessing,
        embedding={
            "pooling": recipe.embedding_pooling or None,
            "batch_norm": recipe.embedding_batch_norm,
        },
        image_shape=batches.preprocessing.image_shape,
    )


def make_stages(recipe: Recipe, model: FaceModel, triplets: MinedBatches | None) -> list[Stage]:
    """Returns the stages with their losses.

    Args:
        recipe: What to train.
        model: That `make_model` made.
        triplets: The batches of the stage `offline`, if it has epochs.
    """
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    triplet = TripletSemiHardLoss(
        margin=recipe.triplet.margin, distance_metric=recipe.triplet.distance_metric
    )
    given = GivenTripletsLoss(
        margin=recipe.offline.margin, distance_metric=recipe.offline.distance_metric
    )
    stages = [
        Stage("margin", cross_entropy, recipe.margin),
        Stage("triplet", within_sets(triplet, model.head), recipe.triplet),
        Stage("offline", given, recipe.offline, batches=triplets),
    ]
    if recipe.softmax.epochs == 0:
        return stages
    head = make_softmax_head(model.head)
    plain = FaceModel(model.backbone, model.embedding, head, model.preprocessing, name=model.name)
    return [Stage("softmax", cross_entropy, recipe.softmax, plain), *stages]
