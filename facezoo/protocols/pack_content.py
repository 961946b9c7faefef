"""The images and labels in an InsightFace `.bin` pack, which is a pickle."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from facezoo.protocols.plain_pickle import Call, UnsafePickle, read_plain

# How Python 3 writes bytes, and empty ones, into old pickles.
_ENCODE: Final = "_codecs.encode"
_EMPTY: Final = "__builtin__.bytes"
_NUMPY: Final = ("numpy.core.", "numpy._core.")
# What NumPy's arrays and booleans are made of; none is called, see `_plain`.
_ARRAY: Final = "multiarray._reconstruct"
_SCALAR: Final = "multiarray.scalar"
_BUFFER: Final = "numeric._frombuffer"
_ALLOWED: Final = {
    *(_ENCODE, _EMPTY, "numpy.ndarray", "numpy.dtype"),
    *(module + name for module in _NUMPY for name in (_ARRAY, _SCALAR, _BUFFER)),
}
_TRUTH: Final = {b"\0": False, b"\1": True}


def read_pack_content(path: Path) -> tuple[list[bytes], list[bool]]:
    """Reads a pack: encoded images, two per pair, and whether each pair shows one person.

    Args:
        path: Written by `pickle.dump((images, same), file)` under Python 2 or 3. Images are byte
            strings, or NumPy arrays of bytes as `cv2.imencode` returns them.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no such pack, or asks for anything that such a pack does not need.
    """
    try:
        content = read_plain(path.read_bytes(), _ALLOWED.__contains__)
        if not isinstance(content, tuple) or len(content) != 2:
            raise ValueError(f"not two lists but {_describe(content)}")
        images = [_image(number, item) for number, item in enumerate(_items(content[0]))]
        same = [_label(number, item) for number, item in enumerate(_items(content[1]))]
    except UnsafePickle as error:
        raise ValueError(
            f"{path} asks for {error}, which a pack of images does not need and which could run "
            "code. Nothing of it was run. Do not open it with pickle; get it from its publisher."
        ) from error
    except ValueError as error:
        raise ValueError(
            f"{path} must be a pickle of (encoded images, booleans), as InsightFace's packs are. "
            f"Received: {error}."
        ) from error
    if len(images) != 2 * len(same):
        raise ValueError(
            f"{path} must hold two images per pair. Received: {len(images):,} images and "
            f"{len(same):,} pairs."
        )
    return images, same


def _items(column: Any) -> Sequence[Any]:
    """Returns a list as it is, and an array of booleans as a list."""
    if isinstance(column, list | tuple):
        return column
    data, kind, _ = _array(column)
    if kind != "b1":
        raise ValueError(f"a list is needed where an array of {kind} stands")
    return [data[i : i + 1] for i in range(len(data))]


def _image(number: int, item: Any) -> bytes:
    if isinstance(item, bytes | bytearray):
        encoded = bytes(item)
    elif isinstance(item, Call) and item.function in (_ENCODE, _EMPTY):
        encoded = _called_bytes(item)
    else:
        data, kind, shape = _array(item)
        if kind != "u1" or sum(side > 1 for side in shape) > 1:
            raise ValueError(
                f"image {number} is an array of {kind} {list(shape)}, not the bytes of a file"
            )
        encoded = data
    if not encoded:
        raise ValueError(f"image {number} is empty")
    return encoded


def _label(number: int, item: Any) -> bool:
    label = item
    if isinstance(label, Call) and _name(label) == _SCALAR and len(label.arguments) == 2:
        kind, label = _kind(label.arguments[0]), label.arguments[1]
        label = _called_bytes(label) if isinstance(label, Call) else label
        label = label if kind == "b1" else None
    if isinstance(label, bytes):
        label = _TRUTH.get(label)
    if not isinstance(label, int) or label not in (0, 1):
        raise ValueError(f"label {number} is {_describe(item)}, not a boolean")
    return bool(label)


def _array(item: Any) -> tuple[bytes, str, tuple[int, ...]]:
    """Returns the bytes of a pickled NumPy array, its type and its shape."""
    data, dtype, shape = None, None, None
    if isinstance(item, Call) and _name(item) == _ARRAY and len(item.state) == 1:
        state = item.state[0]
        if isinstance(state, tuple) and len(state) == 5:
            _, shape, dtype, _, data = state
    elif isinstance(item, Call) and _name(item) == _BUFFER and len(item.arguments) == 4:
        data, dtype, shape, _ = item.arguments
    data = _called_bytes(data) if isinstance(data, Call) else data
    if not isinstance(data, bytes | bytearray) or not isinstance(shape, tuple):
        raise ValueError(f"{_describe(item)} stands where an image or a list is needed")
    if not all(isinstance(side, int) for side in shape):
        raise ValueError(f"an array has the shape {shape}")
    return bytes(data), _kind(dtype), shape


def _name(call: Call) -> str:
    """Returns what is called, without the module that NumPy 2 has renamed."""
    for module in _NUMPY:
        if call.function.startswith(module):
            return call.function.removeprefix(module)
    return call.function


def _kind(dtype: Any) -> str:
    """Returns the type's code, such as "u1"; which bytes come first is of no matter for one."""
    if isinstance(dtype, Call) and dtype.function == "numpy.dtype" and dtype.arguments:
        code = dtype.arguments[0]
        code = code.decode("latin-1") if isinstance(code, bytes) else str(code)
        return "b1" if code == "?" else code
    return "unknown type"


def _called_bytes(call: Call) -> bytes:
    """Returns the bytes that a call stands for."""
    if call.function == _EMPTY and not call.arguments:
        return b""
    if call.function == _ENCODE and len(call.arguments) == 2:
        text, encoding = call.arguments
        if isinstance(text, str) and encoding in ("latin1", b"latin1"):
            return text.encode("latin-1")
    raise UnsafePickle(f"{call.function} with {_describe(call.arguments)}")


def _describe(value: Any) -> str:
    if isinstance(value, Call):
        return f"a {value.function}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"
