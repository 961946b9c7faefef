"""Where model, data and measure meet: embeds people never seen in training and scores the pairs."""

from facezoo.evaluation.embedding import (
    decode_batch,
    embed_batch,
    embed_dataset,
    pixel_embedding,
    untrained_model,
)
from facezoo.evaluation.plots import plot_distances, plot_roc
from facezoo.evaluation.scores import evaluate_embedding, threshold_table

__all__ = [
    "decode_batch",
    "embed_batch",
    "embed_dataset",
    "evaluate_embedding",
    "pixel_embedding",
    "plot_distances",
    "plot_roc",
    "threshold_table",
    "untrained_model",
]
