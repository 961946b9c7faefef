"""What lies beside the shards of an Examples artifact, written from the shards read back."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from facezoo.data.examples import parse_example
from facezoo.data.records import read_records
from facezoo.data.references import Refusal
from facezoo.data.tfds_info import write_tfds_info
from pipelines.artifacts import Examples
from pipelines.beam_errors import naming
from pipelines.component import ComponentError
from pipelines.json_files import write_json

COUNTS_FILE = "counts.json"
IDENTITIES_FILE = "identities.json"
QUARANTINE_FILE = "quarantine.csv"
_QUARANTINE_COLUMNS = ("path", "reason")


@dataclass
class SplitContents:
    """What a split's shards hold.

    Args:
        shards: (number of records, number of bytes) of every shard in order.
        names: Identity by label.
        num_images: Number of images by label.
        dataset: Name of the data set.
    """

    shards: list[tuple[int, int]] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    num_images: dict[int, int] = field(default_factory=dict)
    dataset: str = ""

    @property
    def num_records(self) -> int:
        """Number of records of all shards."""
        return sum(num_records for num_records, _ in self.shards)


def set_properties(examples: Examples, splits: list[str]) -> None:
    """Gives the artifact the properties that TFX keeps in ML Metadata."""
    examples.splits = splits
    examples.properties |= {
        "span": 0,
        "version": 0,
        "file_format": "tfrecord",
        "payload_format": "FORMAT_TF_EXAMPLE",
    }


def shard_name(number: int, total: int) -> str:
    """File name of a shard, as TFX names it."""
    return f"data_tfrecord-{number:05d}-of-{total:05d}"


def read_split(examples: Examples, split: str) -> SplitContents:
    """Reads a split's shards to the end.

    Raises:
        ComponentError: A record is damaged.
    """
    contents = SplitContents()
    try:
        for shard in examples.shards(split):
            num_records = 0
            for record in map(parse_example, read_records(shard)):
                num_records += 1
                contents.dataset = record.dataset
                contents.names[record.label] = record.identity
                contents.num_images[record.label] = contents.num_images.get(record.label, 0) + 1
            contents.shards.append((num_records, shard.stat().st_size))
    except ValueError as error:
        raise ComponentError(str(error)) from error
    return contents


def write_quarantine(rows: Iterable[Refusal], path: str) -> None:
    """Writes the rows (path, reason), sorted."""
    with naming(Path(path)), open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_QUARANTINE_COLUMNS)
        writer.writerows(sorted(rows))


def read_quarantine(path: Path) -> list[Refusal]:
    """Returns the rows that `write_quarantine` wrote."""
    with open(path, encoding="utf-8", newline="") as file:
        return [Refusal(row["path"], row["reason"]) for row in csv.DictReader(file)]


def refuse_too_few_people(
    examples: Examples, num_identities: Mapping[str, int], minimum: int
) -> None:
    """Checks the number of people in every split.

    Raises:
        ComponentError: A split has fewer than the minimum; the message names what was refused.
    """
    if min(num_identities.values()) >= minimum:
        return
    found = ", ".join(f"{number} in the {split} split" for split, number in num_identities.items())
    refused = ""
    if rows := read_quarantine(examples.uri / QUARANTINE_FILE):
        (key, reason), *_ = rows
        refused = f" Of what was found {len(rows)} things were refused, first {key!r}: {reason}."
    raise ComponentError(
        f"Too few people: {found}. Expected at least {minimum} in each.{refused} "
        "Add people, or change eval_fraction."
    )


def write_contents(
    examples: Examples, contents: dict[str, SplitContents], num_found: int
) -> dict[str, int]:
    """Writes counts, identities and TFDS's description beside the shards.

    Args:
        examples: Its shards and its quarantine list are complete.
        contents: Of every split.
        num_found: How many things went in.

    Returns:
        The counts, which are those of `counts.json`.

    Raises:
        ComponentError: What went in did not come out.
    """
    num_quarantined = len(read_quarantine(examples.uri / QUARANTINE_FILE))
    counts = {"found": num_found}
    counts |= {split: one.num_records for split, one in contents.items()}
    counts |= {"quarantined": num_quarantined}
    num_out = sum(counts.values()) - num_found
    if num_out != num_found:
        raise ComponentError(
            f"Records were lost or doubled: {num_found} went in, {num_out} came out "
            f"({counts}). Run again with --runner=DirectRunner and without --direct_running_mode."
        )
    write_json(examples.uri / COUNTS_FILE, counts)
    write_json(
        examples.uri / IDENTITIES_FILE,
        {
            split: [[label, one.names[label], one.num_images[label]] for label in sorted(one.names)]
            for split, one in contents.items()
        },
    )
    shards = {split: one.shards for split, one in contents.items()}
    dataset = max(one.dataset for one in contents.values())
    write_tfds_info(examples.uri, dataset, shards)
    return counts
