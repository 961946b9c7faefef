"""How long and how fast a stage learns: optimizer, learning rate, averaged weights."""

from dataclasses import dataclass

import keras

from facezoo.training.learning_rate import DECAYS, learning_rate

OPTIMIZERS = ("adamw", "sgd", "adagrad")
# Names of the variables that weight decay spares.
_NO_DECAY = ("bias", "gamma", "beta", "alpha")


@dataclass(frozen=True)
class Schedule:
    """Optimizer and learning rate of a stage; `Schedule.facenet` is the paper's recipe.

    Args:
        epochs: Passes over as many images as the training set has; 0 leaves the stage out.
        learning_rate: Peak of the learning rate.
        optimizer: `"adamw"` (default), `"sgd"` with Nesterov's momentum, or `"adagrad"`, whose
            accumulators start at 0.1 as in Keras and TensorFlow: at a rate of 0.05 that matters.
        momentum: Of `"sgd"`, in [0, 1).
        weight_decay: Decoupled decay, per step times the learning rate; biases, slopes and batch
            normalisation are spared, the head's centres are not.
        decay: How the rate falls behind the warm-up: `"cosine"` (default), `"polynomial"`,
            `"step"` or `"constant"`.
        power: Of the polynomial, above 0.
        drops: For `"step"`: the parts of the stage, in (0, 1), after which the rate falls to a
            tenth, as text such as `"0.5,0.75"`.
        final: The last rate of `"cosine"` and `"polynomial"` as a part of the peak.
        warmup: Part of the steps spent rising to the peak.
        ema: Momentum of a moving average of the weights that takes their place when the stage ends;
            0 for none.

    Raises:
        ValueError: A value is out of range.
    """

    epochs: int
    learning_rate: float
    optimizer: str = "adamw"
    momentum: float = 0.9
    weight_decay: float = 1e-4
    decay: str = "cosine"
    power: float = 2.0
    drops: str = "0.5,0.75,0.9"
    final: float = 0.02
    warmup: float = 0.1
    ema: float = 0.0

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise ValueError(f"epochs must be 0 or more. Received: {self.epochs}.")
        for name in ("learning_rate", "power"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0. Received: {getattr(self, name)}.")
        if not self.weight_decay >= 0:
            raise ValueError(f"weight_decay must be 0 or more. Received: {self.weight_decay}.")
        for name in ("momentum", "warmup", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1). Received: {getattr(self, name)}.")
        if not 0 <= self.final <= 1:
            raise ValueError(f"final must be in [0, 1]. Received: {self.final}.")
        for name, known in (("optimizer", OPTIMIZERS), ("decay", DECAYS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} must be one of {', '.join(known)}. Received: {getattr(self, name)!r}."
                )
        self._drop_parts()

    @classmethod
    def facenet(cls, epochs: int) -> "Schedule":
        """Returns the paper's recipe: AdaGrad at 0.05, lowered to finalise the model.

        Args:
            epochs: Length of the stage.

        Source:
            Schroff et al., "FaceNet", arXiv 1503.03832, section 3. When and how far the rate was
            lowered is not said; here it falls to a tenth after half of the stage.
        """
        return cls(
            epochs,
            0.05,
            optimizer="adagrad",
            weight_decay=0.0,
            decay="step",
            drops="0.5",
            warmup=0.0,
        )

    def make_optimizer(self, num_steps: int) -> keras.optimizers.Optimizer:
        """Returns a fresh optimizer whose learning rate spans this many steps."""
        rate = learning_rate(
            self.decay,
            self.learning_rate,
            num_steps,
            warmup_steps=round(num_steps * self.warmup),
            final=self.final,
            power=self.power,
            drops=self._drop_parts(),
        )
        averaged = {"use_ema": True, "ema_momentum": self.ema} if self.ema > 0 else {}
        options = {"weight_decay": self.weight_decay or None, **averaged}
        if self.optimizer == "adamw":
            # Keras' AdamW insists on a number.
            options["weight_decay"] = self.weight_decay
            optimizer = keras.optimizers.AdamW(rate, **options)
        elif self.optimizer == "sgd":
            optimizer = keras.optimizers.SGD(
                rate, momentum=self.momentum, nesterov=self.momentum > 0, **options
            )
        else:
            optimizer = keras.optimizers.Adagrad(rate, initial_accumulator_value=0.1, **options)
        optimizer.exclude_from_weight_decay(var_names=list(_NO_DECAY))
        return optimizer

    def _drop_parts(self) -> tuple[float, ...]:
        try:
            parts = tuple(float(part) for part in self.drops.split(",") if part.strip())
        except ValueError:
            parts = (0.0,)
        if not all(0 < part < 1 for part in parts) or list(parts) != sorted(set(parts)):
            raise ValueError(
                "drops must be rising parts of the stage in (0, 1), such as '0.5,0.75'. "
                f"Received: {self.drops!r}."
            )
        return parts
