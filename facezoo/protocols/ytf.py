"""YouTube Faces: videos are compared, each a folder of frames; ten splits."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from facezoo.protocols.checks import listing
from facezoo.protocols.images import SUFFIXES
from facezoo.protocols.protocol import MEAN_EMBEDDING, MEAN_SIMILARITY, UNKNOWN, Protocol
from facezoo.protocols.text import fail, read_lines

RULES: Final = (MEAN_SIMILARITY, MEAN_EMBEDDING)
CUSTOM: Final = "ytf_custom"
_NUM_SPLITS, _NUM_EACH = 10, 250
_CORRECTED_COLUMNS: Final = 6


class _Pair(NamedTuple):
    split: int
    videos: tuple[str, str]
    same: bool


def read_ytf(
    path: Path, frames: Path, num_frames: int = 100, set_rule: str = MEAN_SIMILARITY
) -> Protocol:
    """Reads a list of pairs of videos in the form of YouTube Faces.

    Args:
        path: splits.txt: a header, then lines `split, number of the pair, first video, second
            video, 1 or 0`. In splits_corrected.txt a sixth column holds the corrected truth, which
            is then used.
        frames: Folder that holds a folder of frames for every video, such as `Name/0`.
        num_frames: How many frames of a video to use, the first in the order of the numbers in
            their names; a shorter video gives all it has. 0 for all.
        set_rule: `"mean_similarity"`, over all pairs of frames, as FaceNet does, or
            `"mean_embedding"`.

    Returns:
        `"ytf"` or `"ytf_corrected"` if there are 5,000 pairs in ten splits, half of each genuine
        (before the correction), else `"ytf_custom"`; then the number of frames. Persons are the
        videos' names, but not known where they have been corrected.

    Raises:
        OSError: The list cannot be read, or videos have no frames; they are listed.
        ValueError: A line does not fit, or an option is none.

    Source:
        L. Wolf, T. Hassner, I. Maoz, "Face recognition in unconstrained videos with matched
        background similarity", CVPR 2011, section 3. FaceNet, arXiv 1503.03832, section 5.7.
    """
    path, frames = Path(path), Path(frames)
    if set_rule not in RULES or num_frames < 0:
        raise ValueError(
            f"set_rule must be {' or '.join(RULES)}, and num_frames a number of frames or 0 for "
            f"all. Received: {set_rule!r} and {num_frames}."
        )
    pairs, is_corrected = _read_pairs(path)
    videos = list(dict.fromkeys(video for pair in pairs for video in pair.videos))
    members = _list_frames(frames, videos, num_frames)
    template = np.repeat(np.arange(len(videos)), [len(members[video]) for video in videos])
    image = [name for video in videos for name in members[video]]
    place = {video: index for index, video in enumerate(videos)}
    people = np.unique([video.partition("/")[0] for video in videos], return_inverse=True)[1]
    name = _name(pairs, is_corrected)
    return Protocol(
        f"{name}_{num_frames or 'all'}_frames",
        image=image,
        member_image=np.arange(len(image)),
        member_template=template,
        member_media=template,
        pair=np.array([[place[video] for video in pair.videos] for pair in pairs]),
        same=np.array([pair.same for pair in pairs]),
        person=np.full(len(videos), UNKNOWN) if is_corrected else people,
        fold=np.array([pair.split - 1 for pair in pairs]),
        set_rule=set_rule,
    )


def _read_pairs(path: Path) -> tuple[list[_Pair], bool]:
    rows = [[cell.strip() for cell in line.split(",")] for line in read_lines(path)]
    if rows[0][0].isdecimal():
        raise fail(path, 1, "a header that names the columns", ",".join(rows[0]))
    pairs = [_pair(path, number, row) for number, row in enumerate(rows[1:], start=2)]
    widths = {len(row) for row in rows[1:]}
    if len(widths) != 1:
        raise ValueError(
            f"{path} must have five columns in every line, or six where it is corrected. "
            f"Received: {listing(sorted(widths)) or 'no pair'}."
        )
    return pairs, widths == {_CORRECTED_COLUMNS}


def _pair(path: Path, line: int, row: Sequence[str]) -> _Pair:
    expected = "split from 1, number, video, video, 1 or 0, and 1 or 0 again where corrected"
    is_whole = len(row) in (5, _CORRECTED_COLUMNS) and all(row) and row[0].isdecimal()
    if not is_whole or int(row[0]) < 1 or not set(row[4:]) <= {"0", "1"}:
        raise fail(path, line, expected, ",".join(row))
    first, second = row[2], row[3]
    if any(part in ("", ".", "..") for video in (first, second) for part in video.split("/")):
        raise fail(path, line, "videos such as Name/0", ",".join(row))
    is_genuine = row[-1] == "1"
    people = {video.partition("/")[0] for video in (first, second)}
    if len(row) < _CORRECTED_COLUMNS and (len(people) == 1) != is_genuine:
        raise fail(path, line, "1 for videos of one name and 0 for those of two", ",".join(row))
    return _Pair(int(row[0]), (first, second), is_genuine)


def _list_frames(root: Path, videos: Sequence[str], limit: int) -> Mapping[str, list[str]]:
    """Returns the names of the first frames of every video, relative to the root."""
    found = {video: sorted(_frames(root / video), key=_numbers) for video in videos}
    if empty := [video for video in videos if not found[video]]:
        raise FileNotFoundError(
            f"{len(empty):,} of {len(videos):,} videos have no frames in {root}: "
            f"{listing(empty)}. Expected: folders with {' '.join(SUFFIXES)} files. Is it the "
            "folder that holds the folders of the people?"
        )
    return {
        video: [f"{video}/{name}" for name in found[video][: limit or None]] for video in videos
    }


def _frames(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return [one.name for one in folder.iterdir() if one.suffix.lower() in SUFFIXES]


def _numbers(name: str) -> tuple[list[int], str]:
    """Sorts frame 10 after frame 9."""
    return [int(digits) for digits in re.findall("[0-9]+", name)], name


def _name(pairs: Sequence[_Pair], is_corrected: bool) -> str:
    splits = range(1, _NUM_SPLITS + 1)
    if is_corrected:
        whole = Counter({split: 2 * _NUM_EACH for split in splits})
        return "ytf_corrected" if Counter(pair.split for pair in pairs) == whole else CUSTOM
    whole = Counter({(split, same): _NUM_EACH for split in splits for same in (True, False)})
    return "ytf" if Counter((pair.split, pair.same) for pair in pairs) == whole else CUSTOM
