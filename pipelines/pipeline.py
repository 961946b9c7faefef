"""The whole pipeline on one page: from bytes on disk to a served, documented model."""

from pipelines.component import Component, LatestBlessedModel
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
from pipelines.configs.base import PipelineConfig


def create_pipeline(config: PipelineConfig) -> list[Component]:
    """Returns the components, wired."""
    example_gen = ExampleGen(config.example_gen)
    examples = example_gen.outputs["examples"]

    statistics_gen = StatisticsGen(config.statistics_gen, examples=examples)
    statistics = statistics_gen.outputs["statistics"]
    schema_gen = SchemaGen(config.schema_gen, statistics=statistics)
    schema = schema_gen.outputs["schema"]
    example_validator = ExampleValidator(
        config.example_validator, statistics=statistics, schema=schema
    )

    transform = Transform(
        config.transform,
        examples=examples,
        schema=schema,
        anomalies=example_validator.outputs["anomalies"],
    )
    crops = transform.outputs["transformed_examples"]

    trainer = Trainer(config.train, transformed_examples=crops)
    model = trainer.outputs["model"]
    curator = Curator(config.curator, transformed_examples=crops, model=model)
    training, before, reports = [trainer, curator], {}, {}
    if config.curator.apply:
        # The second round, on cleaned data; the first is what it is measured by.
        before, reports = {"uncurated_model": model}, {"plan": curator.outputs["plan"]}
        cleaned = curator.outputs["curated_examples"]
        trainer = Trainer(config.train, transformed_examples=cleaned).with_id("Trainer.curated")
        training.append(trainer)
        model = trainer.outputs["model"]

    evaluator = Evaluator(
        config.evaluator,
        transformed_examples=crops,
        model=model,
        baseline_model=LatestBlessedModel(candidate=model, besides=tuple(before.values())),
        **before,
    )
    infra_validator = InfraValidator(
        config.infra_validator,
        model=model,
        transformed_examples=crops,
        evaluation=evaluator.outputs["evaluation"],
    )
    pusher = Pusher(
        config.pusher,
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=infra_validator.outputs["blessing"],
    )

    bulk_inferrer = BulkInferrer(
        config.bulk_inferrer,
        examples=crops,
        model=pusher.outputs["pushed_model"],
        model_blessing=evaluator.outputs["blessing"],
    )
    model_card_gen = ModelCardGen(
        config.model_card_gen,
        model=model,
        model_run=trainer.outputs["model_run"],
        evaluation=evaluator.outputs["evaluation"],
        model_blessing=evaluator.outputs["blessing"],
        pushed_model=pusher.outputs["pushed_model"],
        transformed_examples=crops,
        statistics=statistics,
        **reports,
    )
    return [
        example_gen,
        statistics_gen,
        schema_gen,
        example_validator,
        transform,
        *training,
        evaluator,
        infra_validator,
        pusher,
        bulk_inferrer,
        model_card_gen,
    ]
