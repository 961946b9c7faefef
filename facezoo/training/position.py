"""Where a training stands, as its checkpoints hold it."""

from dataclasses import dataclass, field

History = list[dict[str, float | int | str]]


@dataclass
class Position:
    """Where a training stands.

    Args:
        stage: Number of the stage.
        step: Steps done since the beginning.
        step_in_stage: Steps done in this stage.
        sums: Sums of the logs of this epoch's steps.
        history: The finished epochs.
    """

    stage: int = 0
    step: int = 0
    step_in_stage: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    history: History = field(default_factory=list)
