"""A job: a recipe, the data sets it is for and the folders it works in."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from facezoo.data.concat_batches import ConcatBatches
from facezoo.models import FaceModel
from facezoo.training.batch_norm import synchronize_batch_norm
from facezoo.training.cluster import machine_name
from facezoo.training.distribution import Distribution
from facezoo.training.duplicates import read_duplicates
from facezoo.training.execution import Execution, make_deterministic
from facezoo.training.loop import train
from facezoo.training.offline_triplets import OfflineTriplets
from facezoo.training.position import History
from facezoo.training.probe import Probe
from facezoo.training.progress import Progress
from facezoo.training.recipe import STAGES, Recipe, make_model, make_stages
from facezoo.training.tensorboard import TrainingBoard
from facezoo.training.training_sets import Batches, TrainingSet, check_division, make_batches

# All pairs of the probe are looked at after every epoch.
_PROBE_IMAGES = 200


@dataclass(frozen=True)
class Job:
    """Everything that another process, or another machine, must know to train the same.

    Args:
        recipe: What to train and how.
        sets: The data sets; if the index of one does not fit, every machine makes its own.
        work_dir: For checkpoints; kept until the training is done.
        log_dir: For TensorBoard.
    """

    recipe: Recipe
    sets: tuple[TrainingSet, ...]
    work_dir: str
    log_dir: str

    def save(self, path: Path) -> None:
        """Writes the job as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(dataclasses.asdict(self), indent=2), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Job":
        """Reads what `save` wrote.

        Raises:
            ValueError: The file is no job.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            recipe = Recipe.from_dict(content.pop("recipe"))
            sets = tuple(
                TrainingSet(**{**one, "shards": tuple(one["shards"])})
                for one in content.pop("sets")
            )
            return cls(recipe, sets, **content)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path} is no job that the Trainer or `facezoo train` wrote: {error}."
            ) from error


class Trained(NamedTuple):
    """What a job has made.

    Args:
        model: In float32, with its margin head, without an optimizer.
        history: See `train`.
    """

    model: FaceModel
    history: History


def open_batches(job: Job) -> Batches:
    """Returns the job's batches.

    Raises:
        ValueError: See `make_batches`.
    """
    return make_batches(job.recipe, job.sets, Path(job.work_dir, f"index-{machine_name()}"))


def run_job(job: Job, batches: Batches, distribution: Distribution) -> Trained:
    """Trains from scratch, or from the newest checkpoint in `work_dir`.

    Args:
        job: What to do.
        batches: Of `open_batches`.
        distribution: Where; see `create_distribution`.

    Raises:
        ValueError: See `train`.
        RuntimeError: See `train`.
    """
    recipe = job.recipe
    check_division(batches, distribution.num_replicas, recipe.num_chunks)
    make_deterministic(recipe.seed)
    suspects = read_duplicates(Path(recipe.duplicates), batches) if recipe.duplicates else ()
    arguments = (recipe, batches, suspects)
    with distribution.scope(), _precision(recipe.precision):
        model = make_model(*arguments)
        stages = make_stages(recipe, model, _offline_triplets(job, batches))
    if recipe.synchronized_batch_norm:
        synchronize_batch_norm(model)
    execution = Execution(
        distribution, Path(job.work_dir), recipe.checkpoint_every, recipe.num_chunks
    )
    watching = _watching(job, batches) if distribution.is_chief else ()
    history = train(model, batches, stages, execution, watching)
    # Without the optimizer's state and the training's precision, which users would not expect.
    with _precision("float32"):
        final = make_model(*arguments)
    final.set_weights(model.get_weights())
    return Trained(final, history)


def _offline_triplets(job: Job, batches: Batches) -> OfflineTriplets | None:
    if not job.recipe.offline.epochs:
        return None
    return OfflineTriplets(batches, Path(job.work_dir, "triplets"), job.recipe.offline)


def _watching(job: Job, batches: Batches) -> Sequence[keras.callbacks.Callback]:
    recipe = job.recipe
    stages = [(name, getattr(recipe, name).epochs) for name in STAGES]
    board = TrainingBoard(job.log_dir, probe=_probe(batches), hparams=dataclasses.asdict(recipe))
    return Progress("Trainer", stages), board


def _probe(batches: Batches) -> Probe | None:
    sizes = [batches.batch_size]
    if isinstance(batches, ConcatBatches):
        sizes = [one.batch_size for one in batches.batches]
    ends, share = np.cumsum(sizes), _PROBE_IMAGES // len(sizes)
    rows = [np.arange(end - size, end)[:share] for end, size in zip(ends, sizes, strict=True)]
    batch = batches.read(0, np.concatenate(rows))
    has_pairs = len(set(batch.label.tolist())) not in (1, len(batch.label))
    return Probe(batch.image, batch.label) if has_pairs else None


@contextlib.contextmanager
def _precision(policy: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
