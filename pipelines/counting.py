"""Counts what TFRecords hold: exact, mergeable in any order, in bounded memory; knows no Beam."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from facezoo.data import schema
from facezoo.data.examples import parse_features
from facezoo.data.records import read_records

# Few distinct values: each is counted.
_COUNTED = frozenset(
    (*schema.INT64_KEYS, schema.IMAGE_FORMAT, schema.IDENTITY_NAME, schema.DATASET_NAME)
)
# As many distinct values as examples: their hashes are sampled.
_SAMPLED = frozenset((schema.IMAGE_ENCODED, schema.IMAGE_FILENAME))

Values = Sequence[bytes] | Sequence[int] | Sequence[float]


class DistinctCounter:
    """Counts distinct values in bounded memory by keeping the smallest hashes.

    Args:
        limit: Hashes kept. Below this many distinct values the count is exact; from there on it is
            an estimate with a standard error of 1/sqrt(limit), 0.4 % by default. The result
            depends on the set of values alone, never on their order.

    Source:
        Bar-Yossef et al., "Counting distinct elements in a data stream", RANDOM 2002, algorithm 1,
        with the unbiased estimate (k - 1)/(kth smallest) of Beyer et al., SIGMOD 2007.
    """

    def __init__(self, limit: int = 65536) -> None:
        self._limit = limit
        self._hashes: set[int] = set()

    def add(self, value: bytes) -> None:
        """Counts one value."""
        digest = hashlib.blake2b(value, digest_size=8).digest()
        self._hashes.add(int.from_bytes(digest, "big"))
        self._shrink()

    def merge(self, other: "DistinctCounter") -> None:
        """Adds what another counter has seen."""
        self._hashes |= other._hashes
        self._shrink()

    def count(self) -> int:
        """Returns the number of distinct values."""
        if len(self._hashes) < self._limit:
            return len(self._hashes)
        largest_kept = sorted(self._hashes)[self._limit - 1]
        return round((self._limit - 1) * 2**64 / (largest_kept + 1))

    def _shrink(self) -> None:
        # Only at twice the limit, so that many values share the cost of sorting.
        if len(self._hashes) > 2 * self._limit:
            self._hashes = set(sorted(self._hashes)[: self._limit])


class FeatureCounts:
    """What is known of one feature; two of them merge exactly, in any order.

    A feature outside `facezoo.data.schema` is counted for presence and number of values only.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.types: set[type] = set()
        self.num_values: Counter[int] = Counter()
        self.values: Counter[bytes | int | float] = Counter()
        self.lengths: Counter[int] = Counter()
        self.distinct = DistinctCounter()

    def add(self, values: Values) -> None:
        """Counts the values of one example, at least one."""
        self.types.add(type(values[0]))
        self.num_values[len(values)] += 1
        if self.key in _COUNTED:
            self.values.update(values)
        if isinstance(values[0], bytes):
            self.lengths.update(map(len, values))
        if isinstance(values[0], bytes) and self.key in _SAMPLED:
            for value in values:
                self.distinct.add(value)

    def merge(self, other: "FeatureCounts") -> None:
        """Adds what another count has seen."""
        self.types |= other.types
        self.num_values.update(other.num_values)
        self.values.update(other.values)
        self.lengths.update(other.lengths)
        self.distinct.merge(other.distinct)


class SplitCounts:
    """What is known of a split or of a part of it; two of them merge exactly, in any order."""

    def __init__(self) -> None:
        self.num_examples = 0
        self.features: dict[str, FeatureCounts] = {}
        self.identities: Counter[tuple[int, str]] = Counter()
        self.broken: list[str] = []

    def add(self, features: Mapping[str, Values]) -> None:
        """Counts one example; a feature without a value is missing, as CommonStatistics has it."""
        self.num_examples += 1
        for key, values in features.items():
            if values:
                self.features.setdefault(key, FeatureCounts(key)).add(values)
        label, name = features.get(schema.IDENTITY_LABEL), features.get(schema.IDENTITY_NAME)
        if label and name and isinstance(label[0], int) and isinstance(name[0], bytes):
            self.identities[label[0], text(name[0])] += 1

    def merge(self, other: "SplitCounts") -> None:
        """Adds what another count has seen."""
        self.num_examples += other.num_examples
        for key, counts in other.features.items():
            self.features.setdefault(key, FeatureCounts(key)).merge(counts)
        self.identities.update(other.identities)
        self.broken += other.broken

    def problems(self) -> list[str]:
        """Returns why no statistics can be stated, sorted; empty when they can."""
        mixed = [
            f"Feature {key!r} holds values of several types: "
            f"{', '.join(sorted(kind.__name__ for kind in counts.types))}. Expected one type."
            for key, counts in self.features.items()
            if len(counts.types) > 1
        ]
        return sorted(self.broken) + sorted(mixed)

    def identity_rows(self) -> list[list[int | str]]:
        """Returns [label, name, num_images] of every identity, sorted."""
        return [[label, name, num] for (label, name), num in sorted(self.identities.items())]


def count_shard(path: str) -> SplitCounts:
    """Counts one TFRecord file; a file that cannot be read is noted in `broken`."""
    counts, file = SplitCounts(), Path(path)
    try:
        for record in read_records(file):
            counts.add(parse_features(record))
    except (OSError, ValueError) as error:
        counts.broken.append(f"{file.parent.name}/{file.name}: {error}")
    return counts


def text(value: bytes) -> str:
    """Returns a value as text; what is not UTF-8 is shown as escapes."""
    return value.decode("utf-8", errors="backslashreplace")
