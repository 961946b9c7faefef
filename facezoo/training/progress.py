"""One line in the terminal: stage, epoch, loss, images per second and the time left."""

from collections.abc import Mapping, Sequence
from typing import TextIO

import keras
from tqdm import tqdm

Logs = Mapping[str, float] | None


class Progress(keras.callbacks.Callback):
    """Draws a progress bar while a model trains, on a terminal only; elsewhere it is silent.

    Args:
        title: Stands in front.
        stages: Name and number of epochs of each stage, in order, to be named in their turn.
        file: Where to draw; None for standard error.
    """

    def __init__(
        self,
        title: str = "Training",
        stages: Sequence[tuple[str, int]] = (),
        file: TextIO | None = None,
    ) -> None:
        super().__init__()
        self._title = title
        # The name of every epoch's stage.
        self._stage = [name for name, epochs in stages for _ in range(epochs)]
        self._file = file
        self._bar: tqdm

    def on_train_begin(self, logs: Logs = None) -> None:
        batch_size = self.params["batch_size"]
        self._bar = tqdm(
            total=self.params["steps"] * batch_size,
            initial=self.params.get("first_step", 0) * batch_size,
            desc=self._title,
            unit=" images",
            # Off unless it is a terminal.
            disable=None,
            leave=False,
            mininterval=0.5,
            file=self._file,
        )

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        words = [self._title, *self._stage[epoch : epoch + 1]]
        words.append(f"epoch {epoch + 1} of {self.params['epochs']}")
        self._bar.set_description(", ".join(words), refresh=False)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if "loss" in (logs or {}):
            self._bar.set_postfix_str(f"loss {float(logs['loss']):.4g}", refresh=False)
        self._bar.update(self.params["batch_size"])

    def on_train_end(self, logs: Logs = None) -> None:
        self._bar.close()
