"""Protocols of sets of images: the lists of IJB and of YouTube Faces."""

import pytest

from facezoo import protocols
from facezoo.protocols import ijb


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


MEDIA = ["1.jpg 40 7", "2.jpg 40 7", "3.jpg 12 9", "4.jpg 40 8", "5.jpg 55 7"]
PAIRS = ["40 12 1", "12 55 0", "40 55 0"]


@pytest.fixture
def lists(tmp_path):
    """IJB's two lists in their folder, to be overwritten in part."""

    def make(media=MEDIA, pairs=PAIRS):
        write(tmp_path / "ijbx_face_tid_mid.txt", *media)
        write(tmp_path / "ijbx_template_pair_label.txt", *pairs)
        return tmp_path

    return make


def test_ijb(lists):
    protocol, images = protocols.read("ijb", lists())
    assert (protocol.name, protocol.set_rule, images) == ("ijb_custom", "media_mean", None)
    assert protocol.image == ("1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg")
    # Templates 12, 40 and 55, in this order.
    assert protocol.member_template.tolist() == [0, 1, 1, 1, 2]
    assert protocol.member_image.tolist() == [2, 0, 1, 3, 4]
    assert protocol.member_media.tolist() == [9, 7, 7, 8, 7]
    assert protocol.pair.tolist() == [[1, 0], [0, 2], [1, 2]]
    assert protocol.same.tolist() == [True, False, False]
    assert (protocol.num_people, protocol.num_folds) == (None, 0)


def test_an_image_may_stand_in_two_templates(lists):
    protocol = protocols.read_ijb(lists(media=[*MEDIA, "3.jpg 55 9"]))
    assert (protocol.num_images, len(protocol.member_image)) == (5, 6)
    assert protocol.member_image[protocol.member_template == 2].tolist() == [4, 2]


def test_only_the_published_counts_may_bear_the_name(lists, monkeypatch):
    monkeypatch.setitem(ijb._PUBLISHED, (5, 3, 1, 2), "ijbb")
    assert protocols.read_ijb(lists()).name == "ijbb"
    assert protocols.read_ijb(lists(pairs=PAIRS[:2])).name == "ijb_custom"


@pytest.mark.parametrize("block", [1, 2, 3, 100])
def test_pairs_are_read_by_blocks(lists, monkeypatch, block):
    expected = protocols.read_ijb(lists()).digest()
    monkeypatch.setattr(ijb, "_BLOCK", block)
    assert protocols.read_ijb(lists()).digest() == expected
    for line, text in ((2, "12 55 2"), (3, "40 55 -1")):
        pairs = [*PAIRS[: line - 1], text, *PAIRS[line:]]
        with pytest.raises(ValueError, match=rf"line {line}: expected 1 or 0 as label"):
            protocols.read_ijb(lists(pairs=pairs))


@pytest.mark.parametrize(
    ("media", "message"),
    [
        (["1.jpg 40 7", "2.jpg 40"], "line 2: expected an image"),
        (["1.jpg 40 7", "2.jpg 40 x"], "line 2: expected an image"),
        (["1.jpg 40 7", "2.jpg -40 7"], "line 2: expected an image"),
        (["1.jpg 40 7", "", "2.jpg 40 7"], "line 2: expected an image"),
        (["1.jpg 99999999999999999999 7"], "line 1: expected an image"),
        (["1.jpg 40 7", "3.jpg 12 9"], "1 templates that have no image.*: 55"),
        ([], "is empty"),
    ],
)
def test_media_that_do_not_fit_are_named(lists, media, message):
    with pytest.raises(ValueError, match=message):
        protocols.read_ijb(lists(media=media))


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([*PAIRS, "12 x 0"], "expected two templates and a label"),
        ([*PAIRS, "12 55 0.5"], "expected two templates and a label"),
        ([*PAIRS, "12 55"], "expected two templates and a label"),
        (["12 55", "12 40"], "line 1: expected two templates and a label"),
        ([*PAIRS, "12 56 0", "7 12 0"], "names 2 templates that have no image.*: 7, 56"),
        ([*PAIRS, "12 12 1"], "not compared with itself"),
        ([], "is empty"),
        (PAIRS[1:], "no genuine pair"),
    ],
)
def test_template_pairs_that_do_not_fit_are_named(lists, pairs, message):
    with pytest.raises(ValueError, match=message):
        protocols.read_ijb(lists(pairs=pairs))


def test_ijb_needs_both_lists_once(lists):
    folder = lists()
    write(folder / "ijby_face_tid_mid.txt", *MEDIA)
    with pytest.raises(FileNotFoundError, match="one file .*Received: ijbx_.*, ijby_"):
        protocols.read_ijb(folder)
    with pytest.raises(FileNotFoundError, match="Received: none"):
        protocols.read_ijb(folder / "meta")


SPLITS = [
    "split, pair, first, second, same",
    "1, 1, ann/0, ann/2, 1",
    "1, 2, ann/0, bob/1, 0",
    "2, 1, bob/1, bob/3, 1",
    "2, 2, ann/2, bob/3, 0",
]
FRAMES = {"ann/0": [1, 2, 10], "ann/2": [5], "bob/1": [1, 2, 3], "bob/3": [7, 8]}


@pytest.fixture
def frames(tmp_path):
    for video, numbers in FRAMES.items():
        (tmp_path / "frames" / video).mkdir(parents=True)
        for number in numbers:
            (tmp_path / "frames" / video / f"{video[-1]}.{number}.jpg").write_bytes(b"")
    (tmp_path / "frames" / "ann" / "0" / "Thumbs.db").write_bytes(b"")
    return tmp_path / "frames"


def read_ytf(frames, lines=SPLITS, **options):
    return protocols.read_ytf(write(frames.parent / "splits.txt", *lines), frames, **options)


def test_ytf(frames):
    path = write(frames.parent / "splits.txt", *SPLITS)
    protocol, images = protocols.read("ytf", path, frames=frames, num_frames=2)
    assert images is None
    assert (protocol.name, protocol.set_rule) == ("ytf_custom_2_frames", "mean_similarity")
    first_two = ["ann/0/0.1.jpg", "ann/0/0.2.jpg"], ["ann/2/2.5.jpg"]
    others = ["bob/1/1.1.jpg", "bob/1/1.2.jpg"], ["bob/3/3.7.jpg", "bob/3/3.8.jpg"]
    assert [*protocol.image] == sum((*first_two, *others), [])
    assert protocol.member_template.tolist() == [0, 0, 1, 2, 2, 3, 3]
    assert protocol.pair.tolist() == [[0, 1], [0, 2], [2, 3], [1, 3]]
    assert protocol.same.tolist() == [True, False, True, False]
    assert protocol.fold.tolist() == [0, 0, 1, 1]
    assert protocol.person.tolist() == [0, 0, 1, 1]
    protocols.ImageFolder(frames).check(protocol.image)


def test_frames_are_in_the_order_of_their_numbers(frames):
    protocol = read_ytf(frames, num_frames=0, set_rule="mean_embedding")
    assert protocol.name == "ytf_custom_all_frames"
    assert protocol.image[:3] == ("ann/0/0.1.jpg", "ann/0/0.2.jpg", "ann/0/0.10.jpg")
    assert (protocol.num_images, protocol.set_rule) == (9, "mean_embedding")


def test_the_corrected_truth_is_the_last_column(frames):
    lines = [SPLITS[0] + ", corrected", *(f"{line}, {line[-1]}" for line in SPLITS[1:])]
    lines[3] = "2, 1, bob/1, bob/3, 1, 0"
    lines[4] = "2, 2, ann/2, bob/3, 0, 1"
    protocol = read_ytf(frames, lines)
    assert protocol.same.tolist() == [True, False, False, True]
    assert protocol.num_people is None


def published(num_splits=10, num_each=250):
    """The lines of a list of the published size, of two people who do not exist."""
    genuine, impostor = "{}, {}, ann/0, ann/2, 1", "{}, {}, ann/0, bob/1, 0"
    pairs = [
        kind.format(split + 1, number)
        for split in range(num_splits)
        for kind in (genuine, impostor)
        for number in range(num_each)
    ]
    return [SPLITS[0], *pairs]


def test_only_the_published_size_may_bear_the_name(frames):
    lines = published()
    protocol = read_ytf(frames, lines)
    assert protocol.name == "ytf_100_frames"
    assert (protocol.num_genuine, protocol.num_impostor, protocol.num_folds) == (2500, 2500, 10)
    assert read_ytf(frames, lines[:-1]).name == "ytf_custom_100_frames"
    assert read_ytf(frames, published(9)).name == "ytf_custom_100_frames"
    corrected = [f"{line}, {line[-1]}" for line in lines]
    assert read_ytf(frames, corrected).name == "ytf_corrected_100_frames"
    assert read_ytf(frames, corrected[:-1]).name == "ytf_custom_100_frames"


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (1, SPLITS[1], "line 1: expected a header"),
        (2, "1, 1, ann/0, ann/2", "line 2: expected split from 1"),
        (2, "0, 1, ann/0, ann/2, 1", "line 2: expected split from 1"),
        (2, "x, 1, ann/0, ann/2, 1", "line 2: expected split from 1"),
        (2, "1, 1, ann/0, ann/2, 2", "line 2: expected split from 1"),
        (2, "1, 1, , ann/2, 1", "line 2: expected split from 1"),
        (2, "1, 1, ann/0, ann/2, 1, 1", "columns in every line.*Received: 5, 6"),
        (2, "1, 1, ann/0, ../ann/2, 1", "line 2: expected videos"),
        (2, "1, 1, ann/0, /ann/2, 1", "line 2: expected videos"),
        (2, "1, 1, ann/0, ann/2, 0", "line 2: expected 1 for videos of one name"),
        (3, "1, 2, ann/0, bob/1, 1", "line 3: expected 1 for videos of one name"),
        (5, "1, 2, ann/2, bob/3, 0", "Without impostor pairs: folds 1"),
        (5, "3000000000, 2, ann/2, bob/3, 0", "fold must hold numbers of 32 bits"),
        (5, "9, 2, ann/2, bob/3, 0", "each holds two pairs or more. Received: 0 to 8 for 4"),
    ],
)
def test_splits_that_do_not_fit_are_named(frames, line, text, message):
    lines = [*SPLITS]
    lines[line - 1] = text
    with pytest.raises(ValueError, match=message):
        read_ytf(frames, lines)


def test_videos_without_frames_are_listed(frames):
    (frames / "ann" / "2" / "2.5.jpg").unlink()
    lines = [*SPLITS, "2, 3, cid/0, bob/3, 0"]
    with pytest.raises(FileNotFoundError, match="2 of 5 videos have no frames in .*ann/2, cid/0"):
        read_ytf(frames, lines)


@pytest.mark.parametrize("options", [{"set_rule": "media_mean"}, {"num_frames": -1}])
def test_options_that_are_none_are_refused(frames, options):
    with pytest.raises(ValueError, match="set_rule must be mean_similarity or mean_embedding"):
        read_ytf(frames, **options)
