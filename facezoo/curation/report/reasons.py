"""Evidence as words: what each rule says of a subject."""

from collections.abc import Container, Mapping, Sequence
from typing import Any, Final

from facezoo.pages import words
from facezoo.pages.digits import anything

# What the rules that vote on labels measure.
_VOTES: Final[Mapping[str, str]] = {
    "sub_center": "angle to the person's main centre",
    "center": "cosine with the person's other pictures",
    "neighbors": "share of the person among the nearest pictures",
    "out_of_fold": "cosine above the limit of a model that has not seen it",
}


def reasons(
    evidence: Mapping[str, Mapping[str, Any]], shown: Container[str] = ()
) -> list[tuple[str, str]]:
    """Writes what every rule says: the rule and its words.

    Args:
        evidence: Of a decision, plain JSON.
        shown: Files and people that can be seen beside the words, and need not be named in them.
    """
    return [(rule.replace("_", " "), _tell(said, shown)) for rule, said in evidence.items()]


def _tell(said: Mapping[str, Any], shown: Container[str]) -> str:
    said = dict(said)
    told = []
    if {"votes", "values", "limits"} <= said.keys():
        told.append(_tell_votes(*(said.pop(key) for key in ("votes", "values", "limits"))))
    for key, value in said.items():
        if text := _text(value, shown):
            told.append(f"{_lower(words(key))} {text}")
    return "; ".join(told)


def _text(value: object, shown: Container[str]) -> str:
    """Writes a value; empty if it only names what is shown."""
    if isinstance(value, Mapping) and "file" in value:
        name = f"{value.get('dataset')}/{value.get('identity')}: {value['file']}"
        return "" if value["file"] in shown else name
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {anything(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(filter(None, (_text(one, shown) for one in value)))
    return "" if isinstance(value, str) and value in shown else anything(value)


def _tell_votes(votes: Sequence[str], values: Mapping[str, Any], limits: Mapping[str, Any]) -> str:
    """Says which rules vote for it, then which do not."""
    parts = []
    for title, is_for in (("against the label", True), ("for it", False)):
        some = [
            f"{_VOTES.get(name, name)} {anything(value)} (limit {anything(limits[name])})"
            for name, value in values.items()
            if (name in votes) == is_for
        ]
        if some:
            parts.append(f"{title}: {', '.join(some)}")
    return f"{len(votes)} of {len(values)} votes {'; '.join(parts)}"


def _lower(text: str) -> str:
    """Takes a sentence's capital away, and leaves an abbreviation's."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]
