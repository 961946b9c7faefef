"""The training loop: stages of steps, the same on one device, many, and many machines."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras

from facezoo.data.stream import stream
from facezoo.models import CollapseAlarm, FaceModel
from facezoo.training.checkpoint import Checkpoint, Snapshot, latest_checkpoint, save_checkpoint
from facezoo.training.execution import Execution
from facezoo.training.mined_batches import MinedBatches
from facezoo.training.non_finite import refuse_non_finite
from facezoo.training.position import History, Position
from facezoo.training.stage import (
    Stage,
    compile_stage,
    hand_centers_on,
    refuse_unknown_labels,
)
from facezoo.training.steps import Steps, make_steps


def steps_per_epoch(batches: Any) -> int:
    """Returns how many batches hold as many images as the training set."""
    return math.ceil(batches.num_images / batches.batch_size)


def train(
    model: FaceModel,
    batches: Any,
    stages: Sequence[Stage],
    execution: Execution | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> History:
    """Trains a model in place, stage after stage, each with a fresh optimizer.

    With a `work_dir`, a training that was killed goes on from its newest checkpoint and ends with
    the weights of one that was not: weights, optimizer, head, schedule, position in the data,
    random state and telemetry are restored, and batches depend on the step alone.

    Args:
        model: Made within the distribution's scope; with a head, if a stage has a loss on logits.
        batches: Where the images come from, such as `TrainingBatches`.
        stages: In order; one with 0 epochs is left out.
        execution: Where and in how many pieces, and how often it is saved.
        callbacks: Keras' callbacks. A batch's number is the step since the beginning, its logs are
            of this step alone; `get_state` and `set_state`, where a callback has them, go through
            the checkpoints, and `on_checkpoint(step)` comes before each.

    Returns:
        One entry per epoch: stage, step, learning rate and the means over the epoch's steps.

    Raises:
        ValueError: The loss is no longer a number, a checkpoint is of another training, or the
            batch cannot be divided.
        RuntimeError: A triplet loss has made all embeddings one point, or another machine is lost.
    """
    run = _Run(model, batches, stages, execution or Execution(), callbacks)
    return run.train()


class _Run:
    def __init__(
        self,
        model: FaceModel,
        batches: Any,
        stages: Sequence[Stage],
        execution: Execution,
        callbacks: Sequence[keras.callbacks.Callback],
    ) -> None:
        self._stages = [
            replace(stage, model=stage.model or model, batches=stage.batches or batches)
            for stage in stages
            if stage.schedule.epochs > 0
        ]
        models = [model, *(stage.model for stage in self._stages)]
        self._models = list({id(one): one for one in models}.values())
        self._execution = execution
        self._distribution = execution.distribution
        self._position = Position()
        self._callbacks = [*callbacks, CollapseAlarm()]

    def train(self) -> History:
        for stage in self._stages:
            refuse_unknown_labels(stage)
            if isinstance(stage.batches, MinedBatches):
                # Refuses parts that the replicas would not share evenly.
                self._distribution.rows(stage.batches.part_size)
        checkpoint = self._resume()
        calls = self._make_calls(checkpoint)
        calls.on_train_begin()
        # Machines exchange something in steps, but also for checkpoints and rounds of mining.
        with self._distribution.naming_lost_machines(self._position):
            while self._position.stage < len(self._stages):
                stage = self._stages[self._position.stage]
                calls.set_model(stage.model)
                self._train_stage(stage, checkpoint, calls)
                checkpoint = None
        calls.on_train_end()
        for head in filter(None, (model.head for model in self._models)):
            head.trainable = True
        return self._position.history

    def _train_stage(
        self, stage: Stage, checkpoint: Checkpoint | None, calls: keras.callbacks.CallbackList
    ) -> None:
        position, model = self._position, stage.model
        length = steps_per_epoch(stage.batches)
        num_steps = stage.schedule.epochs * length
        with self._distribution.scope():
            compile_stage(stage, num_steps)
        if checkpoint is not None and position.step_in_stage > 0:
            checkpoint.restore({"optimizer": model.optimizer.variables})
        step = make_steps(model, self._distribution, self._execution.num_chunks)
        rows = self._distribution.rows(stage.batches.batch_size)
        tensors = None
        while position.step_in_stage < num_steps:
            step_in_epoch = position.step_in_stage % length
            if step_in_epoch == 0 or tensors is None:
                calls.on_epoch_begin(len(position.history))
            if self._starts_round(stage, calls) or tensors is None:
                tensors = stream(stage.batches, position.step, rows)
            self._do_step(step, stage.batches, tensors, calls)
            if step_in_epoch == length - 1:
                self._end_epoch(stage, length, calls)
            if self._is_due(num_steps):
                self._save(stage, calls)
        model.optimizer.finalize_variable_values(model.trainable_variables)
        position.stage += 1
        position.step_in_stage = 0
        if position.stage < len(self._stages):
            hand_centers_on(stage.model, self._stages[position.stage].model)
        self._save(stage, calls)

    def _starts_round(self, stage: Stage, calls: keras.callbacks.CallbackList) -> bool:
        """Has batches mined anew if their round begins; returns whether it does."""
        if not isinstance(stage.batches, MinedBatches):
            return False
        number, step_in_round = divmod(self._position.step_in_stage, stage.batches.steps_per_round)
        if step_in_round == 0:
            name = self._save(stage, calls)
            if self._distribution.is_chief:
                stage.batches.mine(number, self._position.step, stage.model, name)
            self._distribution.check_same(number, "the round of mining")
        if step_in_round == 0 or stage.batches.round != number:
            stage.batches.open_round(number)
        return step_in_round == 0

    def _do_step(
        self, step: Steps, batches: Any, tensors: Iterator, calls: keras.callbacks.CallbackList
    ) -> None:
        position = self._position
        calls.on_train_batch_begin(position.step)
        logs = step(next(tensors))
        if isinstance(batches, MinedBatches):
            logs |= batches.logs(position.step)
        refuse_non_finite(logs, batches, position.step, self._aside())
        for name, value in logs.items():
            position.sums[name] = position.sums.get(name, 0.0) + value
        position.step += 1
        position.step_in_stage += 1
        calls.on_train_batch_end(position.step - 1, logs)

    def _end_epoch(self, stage: Stage, length: int, calls: keras.callbacks.CallbackList) -> None:
        position = self._position
        means = {name: value / length for name, value in position.sums.items()}
        means["learning_rate"] = float(stage.model.optimizer.learning_rate)
        position.history.append({"stage": stage.name, "step": position.step, **means})
        position.sums = {}
        calls.on_epoch_end(len(position.history) - 1, means)

    def _is_due(self, num_steps: int) -> bool:
        every, done = self._execution.checkpoint_every, self._position.step_in_stage
        return every > 0 and done % every == 0 and done < num_steps

    def _save(self, stage: Stage, calls: keras.callbacks.CallbackList) -> str:
        """Writes a checkpoint, if there is a folder for it, and returns its name."""
        folder, name = self._folder(), f"checkpoint-{self._position.step:09d}"
        if folder is None:
            return name
        snapshot = Snapshot.take(
            {"model": self._model_variables(), "optimizer": stage.model.optimizer.variables}
        )
        if not self._distribution.is_chief:
            return name
        for callback in calls.callbacks:
            getattr(callback, "on_checkpoint", lambda step: None)(self._position.step)
        content = {
            "position": asdict(self._position),
            "callbacks": [
                callback.get_state() if hasattr(callback, "get_state") else None
                for callback in self._callbacks
            ],
        }
        save_checkpoint(folder, name, snapshot, content)
        return name

    def _resume(self) -> Checkpoint | None:
        folder = self._folder()
        checkpoint = None if folder is None else latest_checkpoint(folder)
        if checkpoint is not None:
            self._position = Position(**checkpoint.content["position"])
        self._distribution.check_same(self._position.step, "the step of the newest checkpoint")
        return checkpoint

    def _make_calls(self, checkpoint: Checkpoint | None) -> keras.callbacks.CallbackList:
        lengths = [stage.schedule.epochs * steps_per_epoch(stage.batches) for stage in self._stages]
        calls = keras.callbacks.CallbackList(
            self._callbacks,
            add_history=False,
            add_progbar=False,
            model=self._models[0],
            steps=sum(lengths),
            epochs=sum(stage.schedule.epochs for stage in self._stages),
            batch_size=self._stages[0].batches.batch_size if self._stages else 0,
            first_step=self._position.step,
        )
        states: Sequence[Mapping | None] = []
        if checkpoint is not None:
            checkpoint.restore({"model": self._model_variables()})
            states = checkpoint.content["callbacks"]
        for callback, state in zip(self._callbacks, states, strict=False):
            if state is not None:
                callback.set_state(state)
        return calls

    def _model_variables(self) -> list[keras.Variable]:
        # Telemetry counts across epochs and is not among the model's variables.
        found = [
            variable
            for model in self._models
            for variable in (*model.variables, *model.triplet_telemetry.variables)
        ]
        # Models of different stages share a backbone.
        return list({id(variable): variable for variable in found}.values())

    def _folder(self) -> Path | None:
        work_dir = self._execution.work_dir
        return None if work_dir is None else Path(work_dir) / "checkpoints"

    def _aside(self) -> Path | None:
        return self._execution.work_dir if self._distribution.is_chief else None
