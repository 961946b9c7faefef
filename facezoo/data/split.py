"""Who is learnt from and who is only tested: people, never pictures, are divided."""

import hashlib
from collections.abc import Iterable

from facezoo.data import schema


def split_identities(
    identities: Iterable[str], eval_fraction: float, salt: str
) -> dict[str, tuple[str, int]]:
    """Puts every person on one side and numbers them.

    Ranking by a hash gives exactly the wanted share, whatever the number of people, and does not
    depend on the order in which they come.

    Args:
        identities: Names; repeated ones count once.
        eval_fraction: Share of the people that go to the eval split, in [0, 1].
        salt: Another salt, another division.

    Returns:
        (split, label) by name; the train split has the labels 0 .. C-1 in the order of the names,
        the eval split those that follow.
    """
    names = sorted(set(identities), key=lambda name: (hash_text(name, salt), name))
    num_eval = round(eval_fraction * len(names))
    sides = ((schema.EVAL, names[:num_eval]), (schema.TRAIN, names[num_eval:]))
    side_of = {name: side for side, people in sides for name in people}
    ordered = sorted(names, key=lambda name: (side_of[name] != schema.TRAIN, name))
    return {name: (side_of[name], label) for label, name in enumerate(ordered)}


def hash_text(text: str, salt: str) -> str:
    """Returns 32 hexadecimal digits that are the same on every machine."""
    return hashlib.blake2b(f"{salt}\n{text}".encode(), digest_size=16).hexdigest()
