"""Every loss with weights of its own passes every check, and is described by presets."""

import pytest

import facezoo
from facezoo import presets
from facezoo.models import describe
from tests.checks import auxiliary_loss as checks
from tests.checks import cross


@pytest.mark.parametrize(("cls", "check"), cross("auxiliary_loss", checks))
def test_auxiliary_loss(cls, check):
    check(cls)


@pytest.mark.parametrize(
    "described",
    [
        {"name": "center", "num_classes": 3, "weight": 0.01, "alpha": 0.3, "use_norm": False},
        {"name": "cross_batch_memory", "loss": "circle", "memory_size": 9, "num_warm_up_steps": 2},
    ],
    ids=lambda described: described["name"],
)
def test_a_preset_tells_every_argument(described, tmp_path):
    auxiliary = facezoo.create_auxiliary_loss(**described)
    model = facezoo.create_model(
        "mobilefacenet", auxiliary_loss=auxiliary, **facezoo.backbones.MobileFaceNet.TINY
    )
    preset = describe(model)
    if described["name"] == "center":
        assert preset["auxiliary_loss"] == described
    presets.save(tmp_path, preset)
    again = facezoo.FaceModel.from_preset(tmp_path)
    assert describe(again) == preset
    assert type(again.auxiliary_loss) is type(auxiliary)
