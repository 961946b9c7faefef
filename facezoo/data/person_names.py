"""Names of people in a form in which two data sets can be compared, where they are names at all."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

# Letters that Unicode does not take apart into a plain letter and an accent.
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe"})
_WORD = re.compile(r"[^\W_]+")
_FEWEST_LETTERS = 3


def comparable_name(name: str) -> str | None:
    """Brings a name to the form in which spellings of one person are equal.

    Case, accents, punctuation, and words with digits in them do not count. The order of words and
    initials do: there is more than one George Bush.

    Args:
        name: Such as the name of a folder.

    Returns:
        Lower-case words with blanks between; None for what carries no name: numbers, codes, less
        than three letters, and single words beside digits, such as `person_12`.

    Example:
        >>> comparable_name("George_W_Bush"), comparable_name("george w. bush 0001")
        ('george w bush', 'george w bush')
        >>> [comparable_name(code) for code in ("00013", "F0001_MID1", "s12", "m.0107_f")]
        [None, None, None, None]
    """
    words, had_digits = _words(name)
    told = [word for word in words if len(word) > 1 or not word.isascii()]
    if sum(map(len, words)) < _FEWEST_LETTERS and all(word.isascii() for word in words):
        return None
    if not told or (had_digits and len(told) < 2):
        return None
    return " ".join(words)


def _words(name: str) -> tuple[list[str], bool]:
    """Words without digits, and whether there were others."""
    parts = unicodedata.normalize("NFKD", name.casefold().translate(_PLAIN))
    bare = "".join(letter for letter in parts if not unicodedata.combining(letter))
    found = _WORD.findall(bare.replace("'", "").replace("\N{RIGHT SINGLE QUOTATION MARK}", ""))
    words = [word for word in found if not any(letter.isdigit() for letter in word)]
    return words, len(words) < len(found)


def comparable_names(names: Iterable[str]) -> dict[str, list[str]]:
    """Finds the people of one data set whose names can be compared with those of another.

    Args:
        names: Of all people of the set, each once.

    Returns:
        The names by their comparable form. Names that differ in digits alone, such as
        `test_person_1` and `test_person_2`, number things and are left out.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        if (form := comparable_name(name)) is not None:
            found[form].append(name)
    return {form: same for form, same in found.items() if not _are_numbered(same)}


def _are_numbered(names: Sequence[str]) -> bool:
    with_digits = Counter(any(letter.isdigit() for letter in name) for name in names)
    return with_digits[True] > 1
