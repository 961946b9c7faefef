"""BulkInferrer: embeds every face crop of the run with the model that was pushed."""

from collections.abc import Mapping
from typing import Any

from pipelines.artifacts import Artifact, Examples, InferenceResult, ModelBlessing, PushedModel
from pipelines.component import Component, ComponentError, Context, Counts
from pipelines.inference import InferenceOptions, infer
from pipelines.inference_input import shard_pieces


def why_not(model: Artifact, model_blessing: Artifact) -> str | None:
    """Returns why nothing is embedded; None if it is."""
    if not model_blessing.properties["blessed"]:
        return "Evaluator has not blessed the model."
    if not model.properties["pushed"]:
        return f"Pusher has not pushed the model: {model.properties['reason']}"
    return None


class BulkInferrer(Component):
    """Embeds all splits with the SavedModel that a server would answer with.

    Inputs:
        examples: Face crops, as the model takes them.
        model: What Pusher pushed.
        model_blessing: Evaluator's.

    Outputs:
        inference_result: For every shard of a split one file `Split-<s>/embeddings-..`, in the
            order of its records: `image/filename`, `dataset/name`, `identity/name`,
            `identity/label`, `embedding` (unit length) and `norm`. In TFRecord each record also
            has `model/fingerprint` and `preprocessing/fingerprint`; in Parquet they stand in the
            file's metadata. `quarantine.csv` (path, reason); `inference.json`, the model and the
            counts. Empty, with the property `reason`, for a model that was not pushed.

    Params:
        See `InferenceOptions`.

    Guarantees:
        Deterministic on one kind of machine: no batch spans two shards. Every record is embedded
        or a row of the quarantine list; the files are read back and counted. A damaged shard stops
        the run.
    """

    INPUTS = {"examples": Examples, "model": PushedModel, "model_blessing": ModelBlessing}
    OUTPUTS = {"inference_result": InferenceResult}
    Params = InferenceOptions

    def run(
        self,
        inputs: Mapping[str, Artifact | None],
        outputs: Mapping[str, Artifact],
        context: Context,
    ) -> Counts:
        examples: Any = inputs["examples"]
        result: Any = outputs["inference_result"]
        result.splits = []
        result.properties["inferred"] = 0
        if reason := why_not(inputs["model"], inputs["model_blessing"]):
            result.properties["reason"] = reason
            return {"inferred": 0, "reason": reason}
        pieces = [
            piece
            for split in examples.splits
            for piece in shard_pieces(examples.shards(split), result.split_dir(split).name)
        ]
        if not any(piece.num_found for piece in pieces):
            raise ComponentError(f"There is nothing to embed: {examples.uri} holds no record.")
        counts = infer((pieces, []), inputs["model"].uri, result.uri, self.params, context)
        result.splits = examples.splits
        result.properties |= {"inferred": 1, "file_format": self.params.format}
        return counts
