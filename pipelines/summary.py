"""What a run tells its user at the end: what was made, where, how good it is, what to do next."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facezoo.serving.model_config import MODELS_DIR, server_flags
from pipelines.curation_files import FACTS, PLAN, REPORT, REVIEW
from pipelines.runner import StepResult

_METRICS = ("auc", "eer", "accuracy", "val_at_far_1e-2", "val_at_far_1e-3")
_ROWS = {
    "model": "trained model",
    "uncurated_model": "before curation",
    "baseline_model": "last blessed model",
    "untrained": "untrained network",
    "pixel": "raw pixels",
}


def summarize(
    results: Mapping[str, StepResult], serving_dir: Path, seconds: float
) -> dict[str, Any]:
    """Returns the content of summary.json.

    Args:
        results: Of every component of the default pipeline.
        serving_dir: Where Pusher puts versions.
        seconds: Of the whole run.
    """
    card = results["ModelCardGen"].outputs["model_card"].uri
    pushed = results["Pusher"].outputs["pushed_model"].properties
    scores = _scores(results)
    metrics = {name: scores["model"][name] for name in _METRICS}
    metrics["pixel_auc"] = scores["pixel"]["auc"]
    metrics["untrained_auc"] = scores["untrained"]["auc"]
    return {
        "model": str(card / "model.keras"),
        "serving": str(serving_dir / pushed["pushed_destination"]) if pushed["pushed"] else None,
        "card": str(card / "README.md"),
        "blessed": scores["blessed"],
        "reasons": scores["reasons"],
        "metrics": metrics,
        "curation": _curation(results),
        "counts": {name: dict(result.counts) for name, result in results.items()},
        "seconds": {
            **{name: round(result.seconds, 2) for name, result in results.items()},
            "total": round(seconds, 2),
        },
    }


def step_line(number: int, total: int, result: StepResult) -> str:
    """Returns the progress line of one component."""
    if result.skipped:
        return f"[{number:2}/{total}] {result.component:<17} unchanged"
    counts = ", ".join(
        f"{name}: {value}" if isinstance(value, str) else f"{value} {name}"
        for name, value in result.counts.items()
    )
    return f"[{number:2}/{total}] {result.component:<17} {result.seconds:6.1f} s  {counts}"


def closing_text(results: Mapping[str, StepResult], summary: Mapping[str, Any], root: Path) -> str:
    """Returns the text that ends a run."""
    lines = [_headline(results, summary), "", *_score_table(results), "", *_verdict(summary)]
    lines += [
        f"  model       {summary['model']}",
        f"  model card  {summary['card']}",
        f"  serving     {summary['serving'] or 'nothing pushed'}",
        f"  summary     {root / 'summary.json'}",
        "",
        *_curation_lines(summary["curation"]),
        "",
        "Next",
        f"  {_program('tensorboard')} --logdir {root}",
        f"  {_program('python')} -m facezoo verify A.jpg B.jpg "
        f"--model={Path(summary['card']).parent}",
    ]
    if summary["serving"]:
        base = Path(summary["serving"]).parent.parent.resolve()
        lines.append(
            f"  docker run -p 8500:8500 -p 8501:8501 -v {base}:{MODELS_DIR} tensorflow/serving "
            + " ".join(server_flags())
        )
    return "\n".join(lines)


def write_summary(summary: Mapping[str, Any], root: Path) -> None:
    """Writes summary.json under the pipeline root, whole or not at all."""
    aside = root / "summary.json.partial"
    aside.write_text(json.dumps(summary, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    aside.replace(root / "summary.json")


def _scores(results: Mapping[str, StepResult]) -> dict[str, Any]:
    path = results["Evaluator"].outputs["evaluation"].uri / "metrics.json"
    return json.loads(path.read_text(encoding="utf-8"))


def _curation(results: Mapping[str, StepResult]) -> dict[str, Any]:
    plan = results["Curator"].outputs["plan"]
    found = json.loads((plan.uri / FACTS).read_text(encoding="utf-8"))
    return {
        "applied": bool(plan.properties["applied"]),
        "version": found["version"],
        **{name: found[name] for name in ("counts", "before", "after", "warnings")},
        "plan": str(plan.uri / PLAN),
        "report": str(plan.uri / REPORT),
        "review": str(plan.uri / REVIEW),
    }


def _curation_lines(curation: Mapping[str, Any]) -> list[str]:
    """What the Curator found in the training data, and what can be made of it."""
    found = curation["counts"]
    state = "carried out" if curation["applied"] else "a proposal"
    lines = [
        f"Curation of the training data, {state}: people to merge: {found['merged_people']}, "
        f"to drop: {found['dropped_people']}; pictures to drop: {found['dropped_pictures']}; "
        f"to be looked at: {found['kept_couples'] + found['kept_pictures']}",
        f"  report      {curation['report']}",
        f"  review      {curation['review']}",
    ]
    if not curation["applied"]:
        lines += [
            "  the same command with --set curator.apply=true trains once more, on cleaned data;",
            "  --set curator.reviewed=FILE takes a review.csv that you have changed",
        ]
    return lines


def _headline(results: Mapping[str, StepResult], summary: Mapping[str, Any]) -> str:
    total = summary["seconds"]["total"]
    if all(result.skipped for result in results.values()):
        return f"Nothing to do: every step is unchanged ({total:.1f} s)."
    ran = sum(not result.skipped for result in results.values())
    return f"Done: {ran} of {len(results)} steps ran, {total:.1f} s in all."


def _score_table(results: Mapping[str, StepResult]) -> list[str]:
    scores = _scores(results)
    lines = [
        f"Verification of {scores['num_identities']} people never seen in training: "
        f"{scores['num_genuine']} genuine and {scores['num_impostor']} impostor pairs",
        "                        AUC     EER  accuracy  VAL@FAR 1e-2  VAL@FAR 1e-3",
    ]
    for key, title in _ROWS.items():
        if row := scores.get(key):
            auc, eer, accuracy, val2, val3 = (_number(row[name]) for name in _METRICS)
            lines.append(f"  {title:<19} {auc}  {eer}    {accuracy}        {val2}        {val3}")
    return lines


def _number(value: float | None) -> str:
    # Too few people for folds leave no accuracy to report.
    return "     –" if value is None else f"{value:.4f}"


def _program(name: str) -> str:
    """Returns how to call a program of this environment from the shell as it is."""
    folder = Path(sys.executable).parent
    found = shutil.which(name)
    return name if found and Path(found).parent == folder else os.path.relpath(folder / name)


def _verdict(summary: Mapping[str, Any]) -> list[str]:
    if summary["blessed"]:
        return []
    return ["Not blessed: " + "; ".join(summary["reasons"]), ""]
