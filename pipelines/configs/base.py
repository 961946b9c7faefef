"""The configuration of a pipeline: one frozen dataclass per component."""

from dataclasses import dataclass, field

from pipelines.components.bulk_inferrer import BulkInferrer
from pipelines.components.curator import Curator
from pipelines.components.evaluator import Evaluator
from pipelines.components.example_gen import ExampleGen
from pipelines.components.example_validator import ExampleValidator
from pipelines.components.infra_validator import InfraValidator
from pipelines.components.model_card_gen import ModelCardGen
from pipelines.components.pusher import Pusher
from pipelines.components.schema_gen import SchemaGen
from pipelines.components.statistics_gen import StatisticsGen
from pipelines.components.trainer import Trainer
from pipelines.components.transform import Transform


@dataclass(frozen=True)
class PipelineConfig:
    """Parameters of every component, by the name that `--set` uses."""

    example_gen: ExampleGen.Params = field(default_factory=ExampleGen.Params)
    statistics_gen: StatisticsGen.Params = field(default_factory=StatisticsGen.Params)
    schema_gen: SchemaGen.Params = field(default_factory=SchemaGen.Params)
    example_validator: ExampleValidator.Params = field(default_factory=ExampleValidator.Params)
    transform: Transform.Params = field(default_factory=Transform.Params)
    train: Trainer.Params = field(default_factory=Trainer.Params)
    curator: Curator.Params = field(default_factory=Curator.Params)
    evaluator: Evaluator.Params = field(default_factory=Evaluator.Params)
    infra_validator: InfraValidator.Params = field(default_factory=InfraValidator.Params)
    pusher: Pusher.Params = field(default_factory=Pusher.Params)
    bulk_inferrer: BulkInferrer.Params = field(default_factory=BulkInferrer.Params)
    model_card_gen: ModelCardGen.Params = field(default_factory=ModelCardGen.Params)
