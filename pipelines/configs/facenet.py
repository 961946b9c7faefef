"""FaceNet as published: NN2 on triplets alone, 1,800 images a batch, AdaGrad at 0.05.

python -m pipelines.run --runner=DirectRunner --config=facenet --input=PHOTOS

The batch is the paper's, 40 faces of each of 45 people; who has fewer is filled up with random
negatives. It goes through the network in 45 pieces, of which mining sees the whole. The paper
trained 1,000 to 2,000 hours on 100 million photographs or more: neither the time nor the score
was measured here. On few data use the default, which begins with a margin head.
"""

from facezoo.data.augment import Augmentation
from facezoo.training import MarginStage, Recipe, TripletStage
from pipelines.components.transform import Transform
from pipelines.configs.base import PipelineConfig


def get_config() -> PipelineConfig:
    """Returns the configuration."""
    return PipelineConfig(
        transform=Transform.Params(height=224, width=224),
        train=Recipe(
            backbone="nn2",
            embedding_dim=128,
            embedding_batch_norm=False,
            batch_size=1800,
            images_per_identity=40,
            few_images="fill",
            augmentation=Augmentation(flip=True),
            margin=MarginStage(epochs=0, learning_rate=1e-3),
            triplet=TripletStage.facenet(epochs=20),
            num_chunks=45,
        ),
    )
