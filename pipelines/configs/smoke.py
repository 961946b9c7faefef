"""Every step of the default on small crops with a few training steps: for CI, not for scores.

python -m pipelines.run --runner=DirectRunner --config=smoke
"""

import dataclasses

from pipelines.components.transform import Transform
from pipelines.configs import default
from pipelines.configs.base import PipelineConfig


def get_config() -> PipelineConfig:
    """Returns the configuration."""
    config = default.get_config()
    train = dataclasses.replace(
        config.train,
        batch_size=16,
        margin=dataclasses.replace(config.train.margin, epochs=1),
        triplet=dataclasses.replace(config.train.triplet, epochs=1),
    )
    return dataclasses.replace(config, transform=Transform.Params(height=32, width=24), train=train)
