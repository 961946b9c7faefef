"""Training: stages of steps on identity batches, exact on one replica, many, and many machines."""

from facezoo.training.cluster import has_cluster
from facezoo.training.distribution import (
    STRATEGIES,
    Distribution,
    WorkerLost,
    create_distribution,
)
from facezoo.training.execution import Execution, make_deterministic
from facezoo.training.loop import steps_per_epoch, train
from facezoo.training.offline_mining import OfflineMining
from facezoo.training.offline_triplets import OfflineTriplets
from facezoo.training.probe import Probe
from facezoo.training.progress import Progress
from facezoo.training.recipe import MarginStage, OfflineStage, Recipe, SoftmaxStage, TripletStage
from facezoo.training.schedule import Schedule
from facezoo.training.stage import Stage
from facezoo.training.tensorboard import TrainingBoard

__all__ = [
    "STRATEGIES",
    "Distribution",
    "Execution",
    "MarginStage",
    "OfflineMining",
    "OfflineStage",
    "OfflineTriplets",
    "Probe",
    "Progress",
    "Recipe",
    "Schedule",
    "SoftmaxStage",
    "Stage",
    "TrainingBoard",
    "TripletStage",
    "WorkerLost",
    "create_distribution",
    "has_cluster",
    "make_deterministic",
    "steps_per_epoch",
    "train",
]
