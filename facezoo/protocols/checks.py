"""What must be true of a protocol before anything is scored with it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_LISTED = 20
_INT32 = np.iinfo(np.int32)


def listing(names: Sequence[object]) -> str:
    """Names the first few of many things and says how many there are besides.

    Example:
        >>> listing(["a", "b"])
        'a, b'
        >>> listing(range(1000))[-20:]
        '18, 19, and 980 more'
    """
    shown = ", ".join(str(name) for name in names[:_LISTED])
    more = len(names) - _LISTED
    return f"{shown}, and {more:,} more" if more > 0 else shown


def as_int32(name: str, column: ArrayLike, num_dimensions: int) -> NDArray[np.int32]:
    """Returns whole numbers as int32; [P, 2] where there are two dimensions.

    Raises:
        ValueError: The shape is another, or a number is no whole number of 32 bits.
    """
    column = np.asarray(column)
    shape = "[any number]" if num_dimensions == 1 else "[any number, 2]"
    if column.ndim != num_dimensions or (num_dimensions == 2 and column.shape[1] != 2):
        raise ValueError(f"{name} must have the shape {shape}. Received: {list(column.shape)}.")
    if column.size and not np.issubdtype(column.dtype, np.integer):
        raise ValueError(f"{name} must hold whole numbers. Received: {column.dtype}.")
    if column.size and not _INT32.min <= column.min() <= column.max() <= _INT32.max:
        raise ValueError(
            f"{name} must hold numbers of 32 bits. Received: {column.min()} to {column.max()}."
        )
    return np.ascontiguousarray(column, dtype=np.int32)


def as_bool(name: str, column: ArrayLike) -> NDArray[np.bool_]:
    """Returns true and false, [P].

    Raises:
        ValueError: The shape is another, or something else is among them.
    """
    column = np.asarray(column)
    if column.ndim != 1 or (column.size and column.dtype != np.bool_):
        raise ValueError(
            f"{name} must be bool with the shape [any number]. "
            f"Received: {column.dtype} {list(column.shape)}."
        )
    return column.astype(np.bool_, copy=False)


def check_names(protocol: Any) -> None:
    """Raises ValueError unless the protocol has a name, and every image one of its own."""
    if not isinstance(protocol.name, str) or not protocol.name:
        raise ValueError(f"A protocol's name must be a text. Received: {protocol.name!r}.")
    names = protocol.image
    if bad := [name for name in names if not isinstance(name, str) or not name]:
        raise ValueError(f"Image names must be texts. Received: {listing([*map(repr, bad)])}.")
    if len(set(names)) < len(names):
        seen: set[str] = set()
        twice = [name for name in names if name in seen or seen.add(name)]
        raise ValueError(
            f"Every image must be named once; {len(twice):,} come again: {listing(twice)}."
        )


def check_members(protocol: Any, single: bool) -> None:
    """Raises ValueError unless templates and images fit together.

    Args:
        protocol: The `Protocol`.
        single: Whether a template must be one image.
    """
    image, template = protocol.member_image, protocol.member_template
    num_templates = len(protocol.person)
    if not len(image) == len(template) == len(protocol.member_media):
        raise ValueError(
            "member_image, member_template and member_media must be of one length. Received: "
            f"{len(image)}, {len(template)}, {len(protocol.member_media)}."
        )
    _check_range("member_image", image, len(protocol.image))
    _check_range("member_template", template, num_templates)
    if np.any(np.diff(template) < 0):
        raise ValueError("member_template must ascend: sort the members by template.")
    _check_all_occur("template", "member_template", template, num_templates)
    _check_all_occur("image", "member_image", image, len(protocol.image))
    if single and len(template) != num_templates:
        raise ValueError(
            'With the set_rule "single" every template is one image. '
            f"Received: {len(template)} members of {num_templates} templates."
        )


def check_pairs(protocol: Any) -> None:
    """Raises ValueError unless there are pairs of both kinds, each of two templates."""
    pair, same = protocol.pair, protocol.same
    columns = {"same": same, **protocol.slices}
    if protocol.fold is not None:
        columns["fold"] = protocol.fold
    for name, column in columns.items():
        if column.shape != (len(pair),):
            raise ValueError(
                f"{name} must hold one entry per pair. "
                f"Expected: {len(pair)} entries. Received: the shape {list(column.shape)}."
            )
    _check_range("pair", pair, len(protocol.person))
    if len(itself := np.flatnonzero(pair[:, 0] == pair[:, 1])):
        raise ValueError(
            f"A template is not compared with itself. Received: {len(itself):,} such pairs, "
            f"numbers {listing(itself)}, counted from 0."
        )
    for kind, found in (("genuine", same), ("impostor", ~same)):
        if not found.any():
            raise ValueError(
                f"There is no {kind} pair: verification needs pairs of one person and pairs of "
                f"two people. Received: {len(pair):,} pairs."
            )


def check_truth(protocol: Any) -> None:
    """Raises ValueError where a pair's truth contradicts the people of its templates."""
    person = protocol.person
    if person.size and person.min() < -1:
        raise ValueError(
            f"person must be -1, for unknown, or from 0. Received: {int(person.min())}."
        )
    first, second = person[protocol.pair[:, 0]], person[protocol.pair[:, 1]]
    wrong = np.flatnonzero((first >= 0) & (second >= 0) & ((first == second) != protocol.same))
    if len(wrong):
        raise ValueError(
            f"same contradicts person in {len(wrong):,} pairs: numbers {listing(wrong)}, counted "
            "from 0. A pair is genuine if, and only if, its templates show one person."
        )


def check_folds(protocol: Any) -> None:
    """Raises ValueError unless every fold can be tested, and another one is there to learn from."""
    fold = protocol.fold
    if fold is None:
        return
    num_folds = int(fold.max()) + 1
    if fold.min() < 0 or not 2 <= num_folds <= len(fold) // 2:
        raise ValueError(
            "Folds are numbered from 0, there are two or more, and each holds two pairs or more. "
            f"Received: {int(fold.min())} to {int(fold.max())} for {len(fold):,} pairs."
        )
    for kind, found in (("genuine", protocol.same), ("impostor", ~protocol.same)):
        without = np.flatnonzero(np.bincount(fold[found], minlength=num_folds) == 0)
        if len(without):
            raise ValueError(
                f"Every fold must hold both kinds of pairs. Without {kind} pairs: folds "
                f"{listing(without)}, counted from 0."
            )


def _check_range(name: str, index: NDArray, count: int) -> None:
    if index.size and not 0 <= index.min() <= index.max() < count:
        raise ValueError(
            f"{name} must be from 0 to {count - 1}. Received: {index.min()} to {index.max()}."
        )


def _check_all_occur(what: str, name: str, index: NDArray, count: int) -> None:
    absent = np.flatnonzero(np.bincount(index, minlength=count) == 0)
    if len(absent):
        raise ValueError(
            f"Every {what} must occur in {name}. Absent: {len(absent):,} of {count:,}, "
            f"numbers {listing(absent)}."
        )
