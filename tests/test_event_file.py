"""Event files: TensorBoard reads them, also while they grow, and their bytes can be repeated."""

import math

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event

from facezoo.data.images import encode_png
from facezoo.data.records import read_records
from facezoo.event_file import EventFile, scalars, write_event_file
from tests.photographs import encoded, photograph


def test_tensorboard_reads_a_run_whose_bytes_depend_on_the_content_alone(tmp_path):
    picture = encode_png(photograph(1, 20, 18))
    for folder in ("a", "b"):
        write_event_file(tmp_path / folder, {"auc": 0.5}, {"roc": picture})
    (one,), (two,) = ((tmp_path / folder).iterdir() for folder in ("a", "b"))
    assert one.read_bytes() == two.read_bytes()
    log = EventAccumulator(str(tmp_path / "a")).Reload()
    assert [event.value for event in log.Scalars("auc")] == [0.5]
    (image,) = log.Images("roc")
    assert (image.height, image.width, image.encoded_image_string) == (20, 18, picture)


def test_tensorboard_follows_a_file_that_grows(tmp_path):
    times = iter([100.0, 101.0, 102.0])
    with EventFile(tmp_path / "tfevents", clock=lambda: next(times)) as file:
        log = EventAccumulator(str(tmp_path))
        for step in (4, 5):
            file.write(step, summary=scalars({"loss": step / 2}))
            log.Reload()
            found = log.Scalars("loss")[-1]
            assert (found.wall_time, found.step, found.value) == (97.0 + step, step, step / 2)


@pytest.mark.parametrize("channels", [(), (2,), (3,), (4,)])
def test_pictures_of_every_kind_of_colour(tmp_path, channels):
    pixels = np.arange(24, dtype=np.uint8)[: 6 * math.prod(channels)].reshape(3, 2, *channels)
    write_event_file(tmp_path, {}, {"picture": encoded(pixels, "PNG")})
    _, event = map(Event.FromString, read_records(next(tmp_path.iterdir())))
    (value,) = event.summary.value
    assert (value.image.height, value.image.width) == (3, 2)
    assert value.image.colorspace == math.prod(channels)
