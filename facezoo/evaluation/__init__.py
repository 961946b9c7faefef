"""Where model, data and measure meet: embeds people never seen in training and scores the pairs."""

from facezoo.evaluation.embedding import (
    decode_batch,
    embed_batch,
    embed_dataset,
    pixel_embedding,
    untrained_model,
)
from facezoo.evaluation.holdout import evaluate_holdout, holdout_splits
from facezoo.evaluation.plots import plot_distances, plot_roc
from facezoo.evaluation.scores import evaluate_embedding, table_of_halves
from facezoo.evaluation.templates import pair_distances, template_embeddings

__all__ = [
    "decode_batch",
    "embed_batch",
    "embed_dataset",
    "evaluate_embedding",
    "evaluate_holdout",
    "holdout_splits",
    "pair_distances",
    "pixel_embedding",
    "plot_distances",
    "plot_roc",
    "table_of_halves",
    "template_embeddings",
    "untrained_model",
]
