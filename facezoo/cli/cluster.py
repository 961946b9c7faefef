"""Groups photographs by person: a table, a page to look through, and a tree of links."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from absl import app, flags

from facezoo import shapes, thresholds
from facezoo.cli import cluster_files, model_loading, threshold_flags, views
from facezoo.cli.cluster_groups import Group, group_pictures
from facezoo.cli.embedded import Row, embed_pictures
from facezoo.cli.model_loading import LoadedModel
from facezoo.cli.pictures import find_pictures, under
from facezoo.data.test_time import TestTime
from facezoo.metrics import LINKAGES
from facezoo.thresholds import Threshold

USAGE = (
    "cluster PICTURES.. --model=PATH [--far=1e-3 | --threshold=T] [--linkage=average] "
    "[--out=DIR [--links=symlink|hardlink|copy]] [--json]"
)
HELP = """Groups photographs by person, without being told how many people there are. Two groups
are joined, the nearest first, while their distance is at most the threshold. PICTURES are files,
folders, which are searched at any depth, and quoted patterns such as 'photos/**/*.jpg'; they must
be cropped to the face as those that the model was trained on.

The threshold is the strictest that is stored with the model, or that of --far, or --threshold.
Of N photographs all N (N - 1) / 2 couples are compared, so a threshold that is right for two
photographs joins strangers among many. Groups too mixed: lower --threshold. One person in many
groups: raise it.

--out=DIR receives
  clusters.csv   path, cluster, distance (mean, to the others of the cluster), error
  report.html    contact sheets: the largest groups first, photographs that stand alone last
  clusters.json  what --json prints
  links/         with --links: a folder for each person, and `alone` for the others

An earlier result in DIR is replaced; anything else there is an error.
Exit codes: 0 every file was grouped, 1 some could not be read (named on stderr; the others are
grouped), 2 error."""
SOME_UNREADABLE: Final = 1


def define_flags(flag_values: flags.FlagValues) -> None:
    """Adds `--model`, the threshold, what is done to the pictures, and what is written."""
    model_loading.define_flag(flag_values)
    threshold_flags.define_flags(flag_values)
    views.define_flags(flag_values)
    flags.DEFINE_enum(
        "linkage",
        "average",
        LINKAGES,
        "How far two groups are: the mean distance of their pictures, the largest (complete) or "
        "the smallest (single).",
        flag_values=flag_values,
    )
    flags.DEFINE_string("out", None, "Write to this folder.", flag_values=flag_values)
    flags.DEFINE_enum(
        "links",
        cluster_files.NO_LINKS,
        cluster_files.LINKS,
        "Also make a folder for each person in DIR/links; the pictures are not moved.",
        flag_values=flag_values,
    )


def run(arguments: Sequence[str], options: flags.FlagValues) -> int:
    """Groups photographs.

    Raises:
        app.UsageError: The arguments do not fit.
        OSError: A folder cannot be listed, or the result not be written.
        ValueError: There are no photographs, no threshold, or something in DIR would be lost.
    """
    if not arguments:
        raise app.UsageError("cluster takes one folder, photograph or pattern, or more.")
    out = None if options["out"].value is None else Path(options["out"].value)
    links = options["links"].value
    if out is None and links != cluster_files.NO_LINKS:
        raise app.UsageError(f"--links={links} needs --out=DIR to lie in.")
    view = views.test_time(options)
    given = threshold_flags.given(options)
    paths = find_pictures(arguments)
    if out is not None:
        cluster_files.check_replaceable(out)
        # What an earlier run copied is no photograph of its own.
        paths = [path for path in paths if not under(path, out)]
    model = model_loading.load(options["model"].value)
    threshold = given or _stored(model, view, options["far"].value)
    rows = list(embed_pictures(paths, model, view, "cluster"))
    groups = _grouped(rows, threshold, options["linkage"].value)
    report = _report(rows, groups, threshold, options["linkage"].value)
    if out is not None:
        cluster_files.write_clusters(out, groups, report, links)
    print(json.dumps(report, indent=2) if options["json"].value else _words(report, out))
    if not report["unreadable"]:
        return 0
    few = f"{len(report['unreadable'])} of {len(rows)}"
    print(f"facezoo cluster: {few} files could not be read.", file=sys.stderr)
    return SOME_UNREADABLE


def _stored(model: LoadedModel, view: TestTime, far: float | None) -> Threshold:
    table = model.bound_thresholds(view)
    if table is None:
        raise ValueError(
            "No measured threshold is stored with this model. Give --threshold, a squared L2 "
            "distance, or the preset folder that the pipeline's ModelCardGen wrote."
        )
    return thresholds.strictest(table) if far is None else thresholds.stored(table, far)


def _grouped(rows: Sequence[Row], threshold: Threshold, linkage: str) -> list[Group]:
    read = [row for row in rows if row.error is None]
    if not read:
        raise ValueError(f"None of {len(rows)} files could be read.")
    embedding = np.stack([row.embedding for row in read])
    return group_pictures([row.path for row in read], embedding, threshold.value, linkage)


def _report(
    rows: Sequence[Row], groups: Sequence[Group], threshold: Threshold, linkage: str
) -> dict[str, Any]:
    return {
        "num_pictures": sum(row.error is None for row in rows),
        "threshold": asdict(threshold),
        "distance_name": shapes.DISTANCE,
        "linkage": linkage,
        "untypical": [row.path for row in rows if row.typical is False],
        "clusters": [asdict(group) for group in groups],
        "unreadable": [
            {"path": row.path, "error": row.error} for row in rows if row.error is not None
        ],
    }


def _words(report: Mapping[str, Any], out: Path | None) -> str:
    groups = [one for one in report["clusters"] if len(one["members"]) > 1]
    alone = [one["members"][0] for one in report["clusters"] if len(one["members"]) == 1]
    threshold = report["threshold"]
    point = threshold["operating_point"]
    source = f"operating point {point!r}, chosen on " if point else ""
    lines = [
        f"{report['num_pictures']} photographs: {len(groups)} groups of two or more, "
        f"{len(alone)} alone",
        f"threshold {threshold['value']:.5g}  ({source}{threshold['source']}), "
        f"{report['linkage']} linkage",
    ]
    if out is not None:
        lines.append(f"look through {out / cluster_files.PAGE}")
        return "\n".join(lines)
    for one in groups:
        lines += ["", f"{one['name']}  {len(one['members'])} photographs, {_distances(one)}"]
        lines += [f"  {member['path']}" for member in one["members"]]
    if alone:
        lines += ["", "alone", *(f"  {member['path']}" for member in alone)]
    return "\n".join(lines)


def _distances(group: Mapping[str, Any]) -> str:
    inside = f"mean distance {group['inside']:.3f}"
    if group["nearest"] is None:
        return inside
    return f"{inside}, to {group['nearest']} {group['nearest_distance']:.3f}"
