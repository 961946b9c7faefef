"""Experiments and `--set`: every file loads, values are read by type, mistakes are explained."""

import pytest

from pipelines import configs
from pipelines.beam_flags import beam_args


@pytest.mark.parametrize("name", configs.names())
def test_every_experiment_loads_and_says_its_command(name):
    assert isinstance(configs.load(name), configs.PipelineConfig)
    module = __import__(f"pipelines.configs.{name}", fromlist=["get_config"])
    assert "python -m pipelines.run" in module.__doc__


def test_an_unknown_experiment_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="Did you mean 'default'"):
        configs.load("defualt")


@pytest.mark.parametrize(
    ("assignment", "read"),
    [
        ("train.batch_size=64", lambda config: config.train.batch_size == 64),
        ("train.margin.epochs=3", lambda config: config.train.margin.epochs == 3),
        ("train.augmentation.flip=false", lambda config: config.train.augmentation.flip is False),
        ("train.margin.learning_rate=1e-2", lambda c: c.train.margin.learning_rate == 0.01),
        ("train.backbone=nn4=x", lambda config: config.train.backbone == "nn4=x"),
    ],
)
def test_a_value_is_read_by_its_type(assignment, read):
    config = configs.load("default")
    assert not read(config) and read(configs.override(config, assignment))


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("train.batchsize=64", "Did you mean 'batch_size'"),
        ("trian.batch_size=64", "Did you mean 'train'"),
        ("train.batch_size=many", "wants int"),
        ("train.augmentation.flip=maybe", "wants bool"),
        ("train.batch_size", "key=value"),
        ("train.margin=3", "names a group"),
        ("train.seed.x=3", "nothing inside"),
        ("train.batch_size=63", "multiple of images_per_identity"),
        ("train.margin.epochs=-1", "0 or more"),
    ],
)
def test_a_mistake_is_explained(assignment, message):
    with pytest.raises(ValueError, match=message):
        configs.override(configs.load("default"), assignment)


def test_direct_runner_is_beams_in_process_engine_unless_prism_is_allowed():
    assert beam_args("DirectRunner", [], False) == ["--runner=FnApiRunner"]
    assert beam_args("DirectRunner", [], True) == ["--runner=DirectRunner"]


def test_flags_for_beam_pass_untouched():
    passed = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
    assert beam_args("DirectRunner", passed, False)[1:] == passed
    assert beam_args("FlinkRunner", ["--flink_master=x"], False)[0] == "--runner=FlinkRunner"


@pytest.mark.parametrize(
    "passed",
    [
        ["--direct_running_mode=multi_threading"],
        ["--direct_running_mode", "multi_threading", "--direct_num_workers=2"],
    ],
)
def test_the_mode_that_loses_records_is_refused(passed):
    with pytest.raises(ValueError, match="loses records"):
        beam_args("DirectRunner", passed, False)


def test_a_misspelt_flag_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="Did you mean --pipeline_root"):
        beam_args("DirectRunner", ["--pipline_root=x"], False, ["pipeline_root"])
