"""Several processes change one gallery, and some are killed in the middle."""

import multiprocessing
import os
import random
import signal
import time

import pytest

from facezoo.gallery import Gallery
from tests.gallery_people import BINDING, DIM, entry

# Forked: a new interpreter would take seconds to import TensorFlow.
FORK = multiprocessing.get_context("fork")

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def enrol_forever(path, name, acknowledge):
    """Enrols one picture after the other; writes a byte for each that was acknowledged."""
    gallery = Gallery.create(path, BINDING, DIM)
    for number in range(10_000):
        gallery.enrol([entry(name, number)])
        os.write(acknowledge, b".")


def enrol_some(path, name, count):
    gallery = Gallery.create(path, BINDING, DIM)
    for number in range(count):
        gallery.enrol([entry(name, number)])


def change_and_change_back(path, count):
    gallery = Gallery.create(path, BINDING, DIM)
    for number in range(count):
        gallery.enrol([entry("guest", number), entry("guest", number + 1)])
        gallery.remove(["guest"])


def test_no_entry_is_lost_or_torn(tmp_path):
    """All begin with a gallery that is not there."""
    path, count = tmp_path / "many.gallery", 12
    writers = [
        FORK.Process(target=enrol_some, args=(path, name, count)) for name in ("ann", "bob", "cid")
    ]
    writers.append(FORK.Process(target=change_and_change_back, args=(path, count)))
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        if path.exists():
            # Whole at any moment: a reader sees both pictures of the guest or none.
            assert Gallery(path).people().get("guest", 2) == 2
            Gallery(path).faces()
    assert [writer.exitcode for writer in writers] == [0, 0, 0, 0]
    gallery = Gallery(path)
    assert gallery.people() == {"ann": count, "bob": count, "cid": count}
    assert len(gallery.faces()) == gallery.header().num_pictures == 3 * count
    assert gallery.header().generation == 5 * count
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def kill_in_the_middle(path, name, seconds):
    """Kills a process that enrols; returns how many pictures it says it has enrolled."""
    readable, writable = os.pipe()
    writer = FORK.Process(target=enrol_forever, args=(path, name, writable))
    writer.start()
    os.close(writable)
    os.read(readable, 1)
    time.sleep(seconds)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    acknowledged = 1
    while some := os.read(readable, 4096):
        acknowledged += len(some)
    os.close(readable)
    return acknowledged


def check_kills(path, num_kills):
    """Every kill leaves what was acknowledged, and at most the entry that was being enrolled."""
    moment = random.Random(0)
    expected, journals = {}, 0
    for number in range(num_kills):
        name = f"p{number:03}"
        expected[name] = kill_in_the_middle(path, name, moment.uniform(0, 0.03))
        journals += path.with_name(path.name + "-journal").exists()
        people = Gallery(path).people()
        assert expected[name] <= people[name] <= expected[name] + 1
        assert {**people, name: expected[name]} == expected
        expected[name] = people[name]
        assert len(Gallery(path).faces()) == sum(expected.values())
    return journals


def test_killed_at_any_moment(tmp_path):
    check_kills(tmp_path / "killed.gallery", num_kills=5)


@pytest.mark.slow
def test_killed_at_many_moments(tmp_path):
    """So often that some kills hit a transaction between its first write and its last."""
    assert check_kills(tmp_path / "killed.gallery", num_kills=80) > 0
