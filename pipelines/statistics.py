"""States counts as tensorflow_metadata statistics, with TFDV's conventions."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from tensorflow_metadata.proto.v0 import statistics_pb2

from facezoo.data import schema
from pipelines.counting import FeatureCounts, SplitCounts, text

# TFDV's defaults.
NUM_BUCKETS = 10
NUM_TOP_VALUES = 20
NUM_RANKS = 1000

_Feature = statistics_pb2.FeatureNameStatistics
_Histogram = statistics_pb2.Histogram


def statistics_proto(
    split: str, counts: SplitCounts
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Returns the statistics of a split under its name, features sorted by key.

    `identity/name` also carries the custom statistics `min_`, `mean_` and
    `max_images_per_identity`.
    """
    result = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = result.datasets.add(name=split, num_examples=counts.num_examples)
    for key, feature_counts in sorted(counts.features.items()):
        feature = dataset.features.add()
        _fill_feature(feature, feature_counts, counts.num_examples)
        if key == schema.IDENTITY_NAME:
            _fill_images_per_identity(feature, feature_counts.values)
    return result


def _fill_feature(feature: _Feature, counts: FeatureCounts, num_examples: int) -> None:
    (kind,) = counts.types
    feature.path.step.append(counts.key)
    if counts.key == schema.IMAGE_ENCODED and kind is bytes:
        feature.type, stats = _Feature.BYTES, feature.bytes_stats
        _fill_bytes(stats, counts)
    elif kind is bytes:
        feature.type, stats = _Feature.STRING, feature.string_stats
        _fill_string(stats, counts)
    else:
        feature.type, stats = _Feature.INT if kind is int else _Feature.FLOAT, feature.num_stats
        if kind is int and counts.values:
            _fill_numeric(stats, counts.values)
    _fill_common(stats.common_stats, counts.num_values, num_examples)


def _fill_common(
    stats: statistics_pb2.CommonStatistics, num_values: Counter[int], num_examples: int
) -> None:
    stats.num_non_missing = num_values.total()
    stats.num_missing = num_examples - stats.num_non_missing
    stats.min_num_values, stats.max_num_values = min(num_values), max(num_values)
    stats.tot_num_values = _sum(num_values)
    stats.avg_num_values = stats.tot_num_values / stats.num_non_missing
    _fill_quantiles(stats.num_values_histogram, num_values)


def _fill_numeric(stats: statistics_pb2.NumericStatistics, values: Counter[int]) -> None:
    # Sums of Python's integers are exact, so no order of adding can show.
    num, total = values.total(), _sum(values)
    squares = sum(value * value * times for value, times in values.items())
    stats.mean = total / num
    stats.std_dev = math.sqrt(num * squares - total * total) / num
    stats.num_zeros = values[0]
    stats.min, stats.max = min(values), max(values)
    (stats.median,) = _order_statistics(values, [num // 2])
    _fill_equal_widths(stats.histograms.add(), values)
    _fill_quantiles(stats.histograms.add(), values)


def _fill_string(stats: statistics_pb2.StringStatistics, counts: FeatureCounts) -> None:
    stats.unique = len(counts.values) or counts.distinct.count()
    stats.avg_length = _sum(counts.lengths) / counts.lengths.total()
    # Among equally frequent values TFDV puts the larger first, and counts ranks from 0.
    ranking = sorted(((times, value) for value, times in counts.values.items()), reverse=True)
    for times, value in ranking[:NUM_TOP_VALUES]:
        stats.top_values.add(value=text(value), frequency=times)
    for rank, (times, value) in enumerate(ranking[:NUM_RANKS]):
        stats.rank_histogram.buckets.add(
            low_rank=rank, high_rank=rank, sample_count=times, label=text(value)
        )


def _fill_bytes(stats: statistics_pb2.BytesStatistics, counts: FeatureCounts) -> None:
    stats.unique = counts.distinct.count()
    stats.avg_num_bytes = _sum(counts.lengths) / counts.lengths.total()
    stats.min_num_bytes, stats.max_num_bytes = min(counts.lengths), max(counts.lengths)
    stats.max_num_bytes_int = max(counts.lengths)


def _fill_images_per_identity(
    feature: statistics_pb2.FeatureNameStatistics, images: Counter[bytes]
) -> None:
    for name, value in (
        ("min_images_per_identity", min(images.values())),
        ("mean_images_per_identity", images.total() / len(images)),
        ("max_images_per_identity", max(images.values())),
    ):
        feature.custom_stats.add(name=name, num=value)


def _fill_equal_widths(histogram: statistics_pb2.Histogram, values: Counter[int]) -> None:
    histogram.type = _Histogram.STANDARD
    low, high = min(values), max(values)
    if low == high:
        histogram.buckets.add(low_value=low, high_value=high, sample_count=values.total())
        return
    counts = [0] * NUM_BUCKETS
    for value, times in values.items():
        # A bucket excludes its upper edge, save the last.
        counts[min((value - low) * NUM_BUCKETS // (high - low), NUM_BUCKETS - 1)] += times
    edges = [low + (high - low) * i / NUM_BUCKETS for i in range(NUM_BUCKETS + 1)]
    for count, bucket_low, bucket_high in zip(counts, edges[:-1], edges[1:], strict=True):
        histogram.buckets.add(low_value=bucket_low, high_value=bucket_high, sample_count=count)


def _fill_quantiles(histogram: statistics_pb2.Histogram, values: Counter[int]) -> None:
    histogram.type = _Histogram.QUANTILES
    num = values.total()
    positions = [min(i * num // NUM_BUCKETS, num - 1) for i in range(NUM_BUCKETS + 1)]
    edges = _order_statistics(values, positions)
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        histogram.buckets.add(low_value=low, high_value=high, sample_count=num / NUM_BUCKETS)


def _order_statistics(values: Counter[int], positions: Sequence[int]) -> list[int]:
    """Returns the elements at these positions of the sorted list that `values` stands for."""
    distinct = sorted(values)
    ends = list(accumulate(values[value] for value in distinct))
    return [distinct[bisect_right(ends, position)] for position in positions]


def _sum(values: Counter[int]) -> int:
    return sum(value * times for value, times in values.items())
