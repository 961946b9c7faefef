"""What is trained on: the shards of one data set, or of several whose batches are joined."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facezoo.data.batches import TrainingBatches
from facezoo.data.concat_batches import ConcatBatches
from facezoo.data.preprocessing import Preprocessing
from facezoo.data.record_index import RecordIndex, UnfitIndex
from facezoo.training.recipe import Recipe

Batches = TrainingBatches | ConcatBatches


@dataclass(frozen=True)
class TrainingSet:
    """Where the images of a data set are.

    Args:
        name: What to call the set if the names in its records do not tell the sets apart.
        shards: TFRecord files with the keys of `facezoo.data.schema`, in order.
        index_dir: Where their `RecordIndex` is.
    """

    name: str
    shards: tuple[str, ...]
    index_dir: str

    def open_index(self, aside: Path) -> RecordIndex:
        """Opens the index, or makes one aside if that in `index_dir` does not fit.

        Args:
            aside: Folder of the index that is made; of this machine and this set alone.

        Raises:
            ValueError: There are no images, or a shard is damaged.
        """
        paths = [Path(shard) for shard in self.shards]
        try:
            index = RecordIndex.open(Path(self.index_dir), paths)
        except UnfitIndex:
            index = RecordIndex.open_or_build(paths, aside)
        if index.num_images == 0:
            raise ValueError(f"The shards of {self.name!r} hold no images: {list(self.shards)}.")
        return index


def make_batches(recipe: Recipe, sets: Sequence[TrainingSet], aside: Path) -> Batches:
    """Returns the batches of a set, or those of several joined, of `recipe.batch_size` rows each.

    All images get the size of the first set's. Sets are called by the names in their records or,
    where these are not all different, as `TrainingSet.name` says.

    Args:
        recipe: What to make of the images; the first set draws by its seed, the next by the next.
        sets: One or more.
        aside: Path of indexes that must be made; each adds its number.

    Raises:
        ValueError: There are no images, a shard is damaged, the data are too few for a batch, or
            the recipe does not fit the number of sets.
    """
    indexes = []
    for place, one in enumerate(sets):
        index = one.open_index(aside.with_name(f"{aside.name}-{place}"))
        parts = index.datasets if recipe.concat else [None]
        indexes += [(one.name, index.select(part) if part else index) for part in parts]
    _check_number(recipe, len(indexes))
    first = indexes[0][1]
    preprocessing = Preprocessing(*_image_size(first), recipe.standardization)
    if len(indexes) == 1:
        return _batches(recipe, first, preprocessing, recipe.seed)
    batches = [
        _batches(recipe, index, preprocessing, recipe.seed + place)
        for place, (_, index) in enumerate(indexes)
    ]
    return ConcatBatches(batches, _names(indexes), recipe.weight_per_set)


def check_division(batches: Batches, num_replicas: int, num_chunks: int) -> None:
    """Refuses batches of several sets that are not dealt out evenly.

    Raises:
        ValueError: A replica, or a chunk of its rows, would have more of one set than another has.
    """
    if not isinstance(batches, ConcatBatches):
        return
    sizes = {name: one.batch_size for name, one in zip(batches.names, batches.batches, strict=True)}
    if any(size % (num_replicas * num_chunks) for size in sizes.values()):
        raise ValueError(
            "Every replica and every chunk must get equally many rows of a data set. Expected: a "
            f"batch_size divisible by {num_replicas} (replicas) x {num_chunks} (num_chunks). "
            f"Received: {sizes}."
        )


def _batches(
    recipe: Recipe, index: RecordIndex, preprocessing: Preprocessing, seed: int
) -> TrainingBatches:
    return TrainingBatches(
        index,
        preprocessing,
        recipe.augmentation,
        seed=seed,
        num_identities=recipe.num_identities,
        images_per_identity=recipe.images_per_identity,
        num_negatives=recipe.num_negatives,
        few_images=recipe.few_images,
    )


def _image_size(index: RecordIndex) -> tuple[int, int]:
    if index.image_size:
        return index.image_size
    record = index.read(0)
    return record.height, record.width


def _names(indexes: Sequence[tuple[str, RecordIndex]]) -> list[str]:
    in_records = ["+".join(index.datasets) for _, index in indexes]
    given = [name for name, _ in indexes]
    for names in (in_records, given):
        if len(set(names)) == len(names):
            return names
    raise ValueError(
        "Data sets that are trained together need different names, for their accuracies. Received: "
        f"{in_records} in the records, {given} by their folders. Rename a folder, or make the "
        "records anew under another name (--set example_gen.dataset=NAME)."
    )


def _check_number(recipe: Recipe, num_sets: int) -> None:
    if num_sets > 1 and recipe.offline.epochs:
        raise ValueError(
            "The stage offline mines triplets in one data set. Received: "
            f"offline.epochs={recipe.offline.epochs} and {num_sets} data sets. Leave the stage "
            "out, or train on one set."
        )
    for_several = ("loss_weights", "cross_set_negatives", "duplicates")
    chosen = [name for name in for_several if getattr(recipe, name)]
    if num_sets == 1 and chosen:
        raise ValueError(
            f"{', '.join(chosen)} needs several data sets, and there is one. Name another one, or "
            "leave it out."
        )
