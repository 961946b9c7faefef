"""Reads and scores a protocol of IJB-C's size: seconds and memory, beside the public way.

    python -m tests.benchmarks.template_pairs

The lists are made here: 469,375 images, 23,124 templates, 15,658,489 pairs. `whole` reads them with
`np.loadtxt` in one piece and looks templates up; `public` pools and scores as
insightface's ijb_11.py does: a loop over templates with `np.where`, then 100,000 pairs at a time in
float64. Every figure comes from a process of its own; memory is its highest, over that before.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

# Before TensorFlow is imported, which `facezoo` does: its notes would stand in the table.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from absl import app, flags

from facezoo import protocols
from facezoo.evaluation.templates import pair_distances

_PAIRS = flags.DEFINE_integer("pairs", 15_658_489, "Pairs in the list.")
_DIM = flags.DEFINE_integer("dim", 512, "Length of the embedding.")
_CHILD = flags.DEFINE_list("child", None, "Work of one process; set by the program itself.")

_NUM_IMAGES, _NUM_TEMPLATES, _NUM_GALLERY, _NUM_GENUINE = 469_375, 23_124, 3_531, 19_557
_LINES = 500_000
_LISTS = ("ijbc_face_tid_mid.txt", "ijbc_template_pair_label.txt")


def make_lists(folder: Path) -> None:
    """Writes both lists; who is compared with whom is drawn."""
    rng = np.random.default_rng(0)
    extra = rng.integers(0, _NUM_TEMPLATES, _NUM_IMAGES - _NUM_TEMPLATES)
    template = np.sort(np.concatenate([np.arange(_NUM_TEMPLATES), extra]))
    media = rng.integers(0, 130_000, _NUM_IMAGES)
    with (folder / _LISTS[0]).open("w") as file:
        rows = zip(template.tolist(), media.tolist(), strict=True)
        file.writelines(f"{i}.jpg {t} {m}\n" for i, (t, m) in enumerate(rows))
    with (folder / _LISTS[1]).open("w") as file:
        for start in range(0, _PAIRS.value, _LINES):
            count = min(_LINES, _PAIRS.value - start)
            first = rng.integers(0, _NUM_GALLERY, count)
            second = rng.integers(_NUM_GALLERY, _NUM_TEMPLATES, count)
            same = np.arange(start, start + count) < _NUM_GENUINE
            np.savetxt(file, np.stack([first, second, same], axis=1), fmt="%d")


def _read(folder: Path) -> None:
    protocols.read_ijb(folder)


def _whole(folder: Path) -> None:
    template = np.loadtxt(folder / _LISTS[0], usecols=1, dtype=np.int64)
    np.loadtxt(folder / _LISTS[0], usecols=2, dtype=np.int64)
    pairs = np.loadtxt(folder / _LISTS[1], dtype=np.int64)
    np.searchsorted(np.unique(template), pairs[:, :2])


def _embedding() -> np.ndarray:
    embedding = np.random.default_rng(1).standard_normal((_NUM_IMAGES, _DIM.value), np.float32)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    return embedding


def _score(protocol: protocols.Protocol, embedding: np.ndarray) -> None:
    pair_distances(protocol, embedding)


def _public(protocol: protocols.Protocol, embedding: np.ndarray) -> None:
    template = np.zeros((protocol.num_templates, embedding.shape[1]))
    for number in range(len(template)):
        (members,) = np.where(protocol.member_template == number)
        vectors, media = embedding[protocol.member_image[members]], protocol.member_media[members]
        means = [vectors[media == one].mean(axis=0) for one in np.unique(media)]
        template[number] = np.sum(means, axis=0)
    template /= np.linalg.norm(template, axis=1, keepdims=True)
    score = np.zeros(protocol.num_pairs)
    for start in range(0, len(score), 100_000):
        first, second = protocol.pair[start : start + 100_000].T
        score[start : start + 100_000] = np.sum(template[first] * template[second], axis=-1)


def _mebibytes(field: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def _as_child(kind: str, folder: Path) -> tuple[float, float]:
    works: dict[str, Callable[..., None]] = {"read": _read, "whole": _whole}
    arguments: tuple[object, ...] = (folder,)
    if kind not in works:
        works = {"score": _score, "public": _public}
        arguments = (protocols.load(folder / "protocol.npz"), _embedding())
    # Forgets what making the embeddings took: from here on VmHWM is the highest of the work.
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    before, start = _mebibytes("VmRSS"), time.perf_counter()
    works[kind](*arguments)
    return time.perf_counter() - start, _mebibytes("VmHWM") - before


def _in_a_process(kind: str, folder: Path) -> tuple[float, float]:
    command = [sys.executable, "-m", "tests.benchmarks.template_pairs", *sys.argv[1:]]
    command.append(f"--child={kind},{folder}")
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        sys.exit(process.stderr)
    return tuple(json.loads(process.stdout.splitlines()[-1]))


def main(arguments: list[str]) -> None:
    """Prints one line for reading and one for scoring."""
    del arguments
    if _CHILD.value:
        kind, folder = _CHILD.value
        print(json.dumps(_as_child(kind, Path(folder))))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_lists(folder)
        protocols.save(protocols.read_ijb(folder), folder / "protocol.npz")
        for ours, peer in (("read", "whole"), ("score", "public")):
            (seconds, memory), (others, other_memory) = (
                _in_a_process(kind, folder) for kind in (ours, peer)
            )
            print(
                f"{ours} {seconds:.1f} s, {memory:.0f} MiB; {peer} {others:.1f} s, "
                f"{other_memory:.0f} MiB; ratio of the times {seconds / others:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    app.run(main)
