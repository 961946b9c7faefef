"""StatisticsGen: what every split of the Examples holds, in numbers."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam

from facezoo.data.records import index_records
from pipelines.artifacts import Artifact, Examples, ExampleStatistics
from pipelines.beam_errors import one_clear_line
from pipelines.component import Component, ComponentError, Context, Counts
from pipelines.counting import SplitCounts, count_shard
from pipelines.statistics import statistics_proto
from pipelines.tfmd import IDENTITIES_FILE, STATISTICS_FILE, read_statistics

PROBLEMS_FILE = "problems.json"


@dataclass(frozen=True)
class Params:
    """StatisticsGen has nothing to set."""


def write_statistics(counts: SplitCounts, folder: str, split: str) -> None:
    """Writes a split's statistics and identities, or why there are none."""
    if problems := counts.problems():
        text = json.dumps(problems, ensure_ascii=False)
        Path(folder, PROBLEMS_FILE).write_text(text, encoding="utf-8")
        return
    proto = statistics_proto(split, counts).SerializeToString(deterministic=True)
    Path(folder, STATISTICS_FILE).write_bytes(proto)
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in counts.identity_rows())
    Path(folder, IDENTITIES_FILE).write_text(f"[\n{rows}\n]\n", encoding="utf-8")


def check_written(statistics: ExampleStatistics, examples: Examples, split: str) -> int:
    """Returns the number of examples in the statistics of a split.

    Raises:
        ComponentError: Examples could not be read, or Beam lost some of them on the way.
    """
    problems = statistics.split_dir(split) / PROBLEMS_FILE
    if problems.exists():
        first, *others = json.loads(problems.read_text(encoding="utf-8"))
        more = f" ({len(others)} more like this.)" if others else ""
        raise ComponentError(f"The examples cannot be counted: {first}{more}")
    found = read_statistics(statistics, split).num_examples
    expected = sum(len(index_records(shard)) for shard in examples.shards(split))
    if found != expected:
        raise ComponentError(
            f"Records of split {split!r} were lost on the way: {expected} lie in the Examples, "
            f"{found} were counted. Run again with --runner=DirectRunner."
        )
    return found


class MergeCounts(beam.CombineFn):
    """Merges the counts of shards; exact, so bundles may come in any order."""

    def create_accumulator(self) -> SplitCounts:
        return SplitCounts()

    def add_input(self, accumulator: SplitCounts, counts: SplitCounts) -> SplitCounts:
        accumulator.merge(counts)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[SplitCounts]) -> SplitCounts:
        merged = SplitCounts()
        for accumulator in accumulators:
            merged.merge(accumulator)
        return merged

    def extract_output(self, accumulator: SplitCounts) -> SplitCounts:
        return accumulator


class WriteSplitStatistics(beam.PTransform):
    """Paths of a split's shards -> the split's statistics, written into a folder."""

    def __init__(self, folder: Path, split: str) -> None:
        super().__init__()
        self._folder = str(folder)
        self._split = split

    def expand(self, paths: beam.PCollection[str]) -> beam.PCollection[None]:
        return (
            paths
            | "CountShard" >> beam.Map(count_shard)
            | "Merge" >> beam.CombineGlobally(MergeCounts())
            | "Write" >> beam.Map(write_statistics, self._folder, self._split)
        )


class StatisticsGen(Component):
    """Counts every feature of every split.

    Inputs:
        examples: Uncompressed TFRecords of tf.Example.

    Outputs:
        statistics: Per split `FeatureStats.pb`, a DatasetFeatureStatisticsList with TFDV's
            conventions, and `identities.json`, [label, name, num_images] of every identity,
            sorted: what statistics of single features cannot tell and ExampleValidator asks.

    Guarantees:
        Deterministic: neither the number of shards nor the order of bundles changes a byte.
        Every number is exact, save `unique` of `image/encoded` and `image/filename` from 65,536
        distinct values on (standard error 0.4 %). Memory grows with the number of identities,
        not of images. An empty split gets statistics of 0 examples. A record that cannot be read,
        a feature of several types or a lost record stops the run.
    """

    INPUTS = {"examples": Examples}
    OUTPUTS = {"statistics": ExampleStatistics}
    Params = Params

    def run(
        self,
        inputs: Mapping[str, Artifact | None],
        outputs: Mapping[str, Artifact],
        context: Context,
    ) -> Counts:
        examples, statistics = inputs["examples"], outputs["statistics"]
        statistics.splits = examples.splits
        with one_clear_line(self.id), context.beam_pipeline() as pipeline:
            for split in examples.splits:
                folder = statistics.split_dir(split)
                folder.mkdir()
                paths = [str(shard) for shard in examples.shards(split)]
                shards = pipeline | f"Shards[{split}]" >> beam.Create(paths)
                _ = shards | f"Statistics[{split}]" >> WriteSplitStatistics(folder, split)
        return {split: check_written(statistics, examples, split) for split in examples.splits}
