"""Reads the plain values in a pickle without running what a pickle can run."""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final


class UnsafePickle(ValueError):
    """A pickle asks for something besides plain values; the message names it."""


@dataclass(frozen=True)
class Call:
    """What a pickle would call, which nobody does here.

    Args:
        function: `"module.name"`.
        arguments: Plain values and calls.
        state: What it would then set on the object, one entry for each time, oldest first.
    """

    function: str
    arguments: tuple[Any, ...]
    state: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class _Global:
    name: str


_MARK: Final = object()
_CONSTANTS: Final = {
    "NONE": None,
    "NEWTRUE": True,
    "NEWFALSE": False,
    "EMPTY_TUPLE": (),
}
# Python 2 wrote its byte strings with these; `pickletools` shows them as Latin-1 text.
_BYTE_STRINGS: Final = {"STRING", "BINSTRING", "SHORT_BINSTRING"}
_VALUES: Final = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG1"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_NO_EFFECT: Final = {"PROTO", "FRAME", "STOP"}


def read_plain(content: bytes, is_allowed: Callable[[str], bool]) -> Any:
    """Follows a pickle's opcodes with a stack of its own; nothing is imported and nothing called.

    Args:
        content: The pickle, of any protocol, written by Python 2 or 3.
        is_allowed: Tells which `"module.name"` the pickle may ask for.

    Returns:
        None, bool, int, str, bytes, bytearray, tuples and lists of these, and a `Call` for each
        allowed object that the pickle would make.

    Raises:
        UnsafePickle: It asks for something else.
        ValueError: It is no pickle, or is cut off.
    """
    machine = _Machine(is_allowed)
    try:
        for opcode, argument, _ in pickletools.genops(content):
            machine.step(opcode.name, argument)
        (result,) = machine.stack
    except UnsafePickle:
        raise
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        # On foreign bytes the opcodes stumble over whatever lies at hand.
        raise ValueError(f"no pickle, or cut off ({error})") from error
    return result


class _Machine:
    """The stack and the memo of a pickle that is being read."""

    def __init__(self, is_allowed: Callable[[str], bool]) -> None:
        self.stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._is_allowed = is_allowed

    def step(self, name: str, argument: Any) -> None:
        """Does what one opcode says."""
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _VALUES:
            self.stack.append(argument)
        elif name in _BYTE_STRINGS:
            self.stack.append(argument.encode("latin-1"))
        elif name not in _NO_EFFECT:
            self._act(name.lower(), argument)

    def _act(self, name: str, argument: Any) -> None:
        action = getattr(self, f"_do_{name}", None)
        if action is None:
            raise UnsafePickle(f"the instruction {name.upper()}")
        action(argument)

    def _do_mark(self, _: None) -> None:
        self.stack.append(_MARK)

    def _do_pop(self, _: None) -> None:
        self.stack.pop()

    def _pop_to_mark(self) -> list[Any]:
        start = len(self.stack) - 1
        while self.stack[start] is not _MARK:
            start -= 1
            if start < 0:
                raise ValueError("a mark is missing")
        items = self.stack[start + 1 :]
        del self.stack[start:]
        return items

    def _do_empty_list(self, _: None) -> None:
        self.stack.append([])

    def _do_list(self, _: None) -> None:
        self.stack.append(self._pop_to_mark())

    def _do_append(self, _: None) -> None:
        item = self.stack.pop()
        self.stack[-1].append(item)

    def _do_appends(self, _: None) -> None:
        items = self._pop_to_mark()
        self.stack[-1].extend(items)

    def _do_tuple(self, _: None) -> None:
        self.stack.append(tuple(self._pop_to_mark()))

    def _last(self, count: int) -> None:
        if len(self.stack) < count:
            raise ValueError("the stack is empty")
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def _do_tuple1(self, _: None) -> None:
        self._last(1)

    def _do_tuple2(self, _: None) -> None:
        self._last(2)

    def _do_tuple3(self, _: None) -> None:
        self._last(3)

    def _do_memoize(self, _: None) -> None:
        self._memo[len(self._memo)] = self.stack[-1]

    def _do_put(self, index: int) -> None:
        self._memo[int(index)] = self.stack[-1]

    def _do_get(self, index: int) -> None:
        self.stack.append(self._memo[int(index)])

    _do_binput = _do_long_binput = _do_put
    _do_binget = _do_long_binget = _do_get

    def _do_global(self, argument: str) -> None:
        name = argument.replace(" ", ".")
        if not self._is_allowed(name):
            raise UnsafePickle(name)
        self.stack.append(_Global(name))

    def _do_stack_global(self, _: None) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self._do_global(f"{module} {name}")

    def _do_reduce(self, _: None) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, _Global) or not isinstance(arguments, tuple):
            raise UnsafePickle(f"a call of a {type(function).__name__}")
        self.stack.append(Call(function.name, arguments))

    def _do_build(self, _: None) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], Call):
            raise UnsafePickle(f"the state of a {type(self.stack[-1]).__name__}")
        self.stack[-1].state.append(state)
