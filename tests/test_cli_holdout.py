"""`python -m facezoo evaluate --protocol=holdout`: from a folder of people to the report."""

import json
import re
import shutil

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from facezoo.cli.main import main
from facezoo.data.images import decode_rgb
from facezoo.evaluation import evaluate_holdout, holdout_splits
from facezoo.evaluation.holdout_scores import score_splits, sort_splits
from facezoo.evaluation.report import write_holdout_html
from facezoo.evaluation.system import baseline_system
from facezoo.metrics import DistanceHistogram, PairMatrix
from tests.coloured_people import draw_color, save_picture, save_tiny_preset

# Whoever comes first has more pictures than the others.
_NUM_IMAGES = (9, 8, *(5,) * 10)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Pictures whose colours tell their people apart, more or less."""
    folder = tmp_path_factory.mktemp("data") / "hues"
    rng = np.random.default_rng(0)
    for number, num_images in enumerate(_NUM_IMAGES):
        (folder / f"P_{number:02}").mkdir(parents=True)
        color = draw_color(rng)
        for image in range(num_images):
            path = folder / f"P_{number:02}" / f"{image}.png"
            save_picture(path, rng, color, spread=20)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_preset(tmp_path_factory.mktemp("preset"))


@pytest.fixture(scope="module")
def flags(people):
    start = ["evaluate", "--protocol=holdout", f"--images={people}"]
    return [*start, "--num_splits=2", "--far=0.5,0.1,1e-3"]


@pytest.fixture(scope="module")
def evaluated(flags, model, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    # Left there by an earlier evaluation.
    for name in ("report.json", "thresholds.json"):
        (out / name).write_text("{}")
    assert main([*flags, f"--model={model}", "--baselines=pixels", f"--out={out}"]) == 0
    return out


def read(out):
    return json.loads((out / "report.json").read_text())


def charts(out):
    source = (out / "report.html").read_text()
    found = re.search(r'<script type="application/json" id="charts">(.*?)</script>', source)
    return json.loads(found[1])


def text(out):
    """The page without its scripts and tags."""
    source = (out / "report.html").read_text()
    return " ".join(re.sub(r"(?s)<(script|style)>.*?</\1>|<[^>]+>", " ", source).split())


def fails(capsys, *arguments):
    """Runs the verb, which must fail with one message, and returns it."""
    capsys.readouterr()
    assert main(list(arguments)) == 2
    said = capsys.readouterr()
    assert said.out == "" and "Traceback" not in said.err
    return said.err


def embed_by_hand(people):
    """The pixels of all pictures in order, and whose they are."""
    files = sorted(people.rglob("*.png"))
    embedding = baseline_system("pixels").embed([decode_rgb(file.read_bytes()) for file in files])
    return embedding, np.array([int(file.parent.name[2:]) for file in files])


@pytest.mark.parametrize("place, target", [(0, 0.5), (1, 0.1)])
def test_scores_are_those_of_evaluate_holdout(evaluated, people, place, target):
    embedding, label = embed_by_hand(people)
    expected = evaluate_holdout(embedding, label, holdout_splits(label, 2), target)
    system = read(evaluated)["systems"]["pixels"]
    found = system["val_at_far"][place]
    assert (found["target"], len(found["splits"])) == (target, 2)
    assert (found["val"], found["val_standard_error"]) == expected.val
    assert (found["macro_val"], found["macro_val_standard_error"]) == expected.macro_val
    assert (system["auc"], system["auc_standard_error"]) == expected.auc
    assert found["val_standard_error"] > 0 and found["val"] != found["macro_val"]
    for row, split in zip(found["splits"], expected.splits, strict=True):
        assert (row["threshold"], row["val"], row["far"]) == (
            split.point.threshold,
            split.point.val,
            split.point.far,
        )
        assert row["far"] <= target
        for name in ("macro_val", "auc", "num_genuine", "num_impostor", "num_people"):
            assert row[name] == getattr(split, name)


def test_a_far_that_a_split_does_not_support_is_refused(evaluated):
    report = read(evaluated)
    rows = report["systems"]["model"]["val_at_far"][0]["splits"]
    fewest = min(row["num_impostor"] for row in rows)
    for system in report["systems"].values():
        refused = f"{fewest} impostor pairs of a split are too few: below 10 / 0.001"
        assert system["val_at_far"][2] == {"target": 0.001, "refused": refused}


def test_the_report_says_on_what_and_how(evaluated, model):
    report = read(evaluated)
    assert (report["format"], report["kind"], report["contaminated"]) == (1, "holdout", None)
    assert report["title"] == f"{model.name} on all pairs of 2 splits of hues"
    protocol = report["protocol"]
    rows = report["systems"]["model"]["val_at_far"][0]["splits"]
    for kind in ("num_genuine", "num_impostor"):
        assert protocol.pop(kind) == sum(row[kind] for row in rows)
    assert len(protocol.pop("digest")) == 64
    deal = {"num_splits": 2, "disjoint": "identity", "seed": 0}
    assert protocol == {"name": "hues", "num_images": 67, "num_people": 12, **deal}
    assert report["options"]["far_targets"] == [0.5, 0.1, 0.001]
    assert list(report["systems"]) == ["model", "pixels"]
    assert report["systems"]["model"]["embedding_dim"] == 8
    assert report["systems"]["model"]["fingerprint"] is not None
    assert "not looked for" in report["overlap"]["people_in_training"]
    assert not (evaluated / "thresholds.json").exists()


def test_a_csv_and_another_order_give_the_same_scores_and_other_people_another_digest(
    flags, evaluated, people, tmp_path
):
    files = sorted(people.rglob("*.png"), reverse=True)
    lines = [f"{file.relative_to(people)},{file.parent.name}" for file in files]

    def run(lines):
        listing = people.parent / "hues.csv"
        listing.write_text("\n".join(["path,identity", *lines]))
        arguments = [f"--images={listing}", "--baselines=pixels", f"--out={tmp_path}"]
        assert main([*flags, *arguments]) == 0
        return read(tmp_path)

    lines = [f"hues/{line}" for line in lines]
    same = run(lines)
    assert same["systems"]["pixels"] == read(evaluated)["systems"]["pixels"]
    other = run([lines[0].replace(",P_11", ",P_00"), *lines[1:]])
    assert other["protocol"]["digest"] != same["protocol"]["digest"]


def test_options_change_the_scores_and_are_named(flags, evaluated, model, tmp_path):
    more = ["--crop=0.5", "--flip=concat", "--disjoint=image", "--far=0.1", "--baselines="]
    assert main([*flags, *more, f"--model={model}", f"--out={tmp_path}"]) == 0
    report = read(tmp_path)
    assert (report["options"]["crop"], report["options"]["flip"]) == (0.5, "concat")
    assert report["protocol"]["disjoint"] == "image"
    assert report["systems"]["model"]["embedding_dim"] == 16
    rows = report["systems"]["model"]["val_at_far"][0]["splits"]
    assert [row["num_genuine"] + row["num_impostor"] for row in rows] == [17 * 17, 16 * 17]
    assert report["systems"]["model"]["auc"] != read(evaluated)["systems"]["model"]["auc"]
    assert "no image is in two splits" in text(tmp_path)
    assert "The splits share people" in text(tmp_path)


def test_the_page_shows_means_with_their_errors_and_says_what_they_are(evaluated):
    report, page = read(evaluated), text(evaluated)
    point = report["systems"]["pixels"]["val_at_far"][1]
    for key in ("val", "macro_val"):
        error = 100 * point[f"{key}_standard_error"]
        decimals = max(0, 1 - int(np.floor(np.log10(error))))
        assert f"{100 * point[key]:.{decimals}f} % ± {error:.{decimals}f}" in page
    assert "no person is in two splits" in page and "The splits share people" not in page
    assert "the threshold is chosen on each split itself" in page
    assert "standard error is that of this mean over splits" in page
    assert "Macro VAL lets every person weigh the same" in page
    assert "refused" in page
    row = point["splits"][1]
    assert f"2 {row['threshold']:.4f} {100 * row['val']:.2f} %" in page


def test_plots_show_all_pairs_and_every_split(evaluated):
    report, drawn = read(evaluated), charts(evaluated)
    assert sorted(drawn) == ["distances-model", "distances-pixels", "roc"]
    for number, (key, system) in enumerate(report["systems"].items()):
        markers = drawn["roc"]["data"][2 * number + 1]
        splits = [row for point in system["val_at_far"][:2] for row in point["splits"]]
        assert markers["y"] == pytest.approx([row["val"] for row in splits], rel=1e-5)
        genuine, impostor, *lines = drawn[f"distances-{key}"]["data"]
        for bars, kind in ((genuine, "num_genuine"), (impostor, "num_impostor")):
            assert sum(row[2] for row in bars["customdata"]) == report["protocol"][kind]
            assert 40 < len(bars["x"]) <= 128
        medians = [
            np.median([row["threshold"] for row in point["splits"]])
            for point in system["val_at_far"][:2]
        ]
        assert [line["x"][0] for line in lines] == pytest.approx(medians)


def test_a_page_of_other_pairs_than_the_report_counts_is_refused(evaluated, tmp_path):
    report, path = read(evaluated), tmp_path / "page.html"
    wrong = DistanceHistogram(np.ones(4, np.int64), np.ones(4, np.int64))
    with pytest.raises(ValueError, match="genuine pairs, the histogram of 'model' 4"):
        write_holdout_html(path, report, dict.fromkeys(report["systems"], wrong))
    with pytest.raises(ValueError, match="in their order: model, pixels. Received: model"):
        write_holdout_html(path, report, {"model": wrong})
    assert not path.exists()


def test_tensorboard_shows_the_means(evaluated):
    for key, system in read(evaluated)["systems"].items():
        log = EventAccumulator(str(evaluated / "tensorboard" / key)).Reload()
        found = {tag: log.Scalars(tag)[0].value for tag in log.Tags()["scalars"]}
        expected = {"evaluation/auc": system["auc"]}
        for name, point in zip(("5e-1", "1e-1"), system["val_at_far"][:2], strict=True):
            expected |= {
                f"evaluation/{val}_at_far_{name}": point[val] for val in ("val", "macro_val")
            }
        assert found == pytest.approx(expected)


def test_what_is_printed(capsys, flags, tmp_path):
    arguments = [*flags, "--baselines=pixels", f"--out={tmp_path}"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    point = read(tmp_path)["systems"]["pixels"]["val_at_far"][0]
    assert f"hues: {read(tmp_path)['protocol']['num_genuine']} genuine" in out
    assert f"{point['val']:.4f} ± {point['val_standard_error']:.4f} at 0.5" in out
    assert "below 10 / 0.001. --allow_few" in out
    assert f"Report: {tmp_path / 'report.html'}" in out
    assert main([*arguments, "--allow_few", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == read(tmp_path)
    assert "val" in printed["systems"]["pixels"]["val_at_far"][2]


def test_people_of_the_training_are_found(capsys, flags, people, model, tmp_path):
    few = shutil.copytree(people / "P_03", tmp_path / "train" / "somebody").parent
    arguments = [*flags, "--baselines=", f"--model={model}", f"--train={few}"]
    arguments.append(f"--out={tmp_path / 'out'}")
    assert "P_03" in fails(capsys, *arguments)
    assert not (tmp_path / "out").exists()
    assert main([*arguments, "--allow_overlap"]) == 0
    assert read(tmp_path / "out")["contaminated"]["num_people"] >= 1
    assert "Contaminated." in text(tmp_path / "out")


class TestErrors:
    @pytest.mark.parametrize(
        ("more", "words"),
        [
            (["--pairs=pairs.txt"], "--pairs: not with --protocol=holdout"),
            (["--choose_on=pairs.txt", "--store"], "--choose_on, --store: not with"),
            (["--robustness"], "--robustness: not with"),
            (["--num_resamples=10"], "--num_resamples: not with"),
            (["--protocol=lfw", "--pairs=pairs.txt"], "--num_splits: only with --protocol=holdout"),
            (["--protocol=heldout"], "ytf, file, holdout. Received: 'heldout'"),
            (["--images="], "--images is needed: a folder with one folder per person"),
            (["--images=nowhere"], "'nowhere' does not exist"),
            (["--num_splits=1"], "num_splits must be from 2 to 12"),
            (["--num_splits=12", "--model=nowhere"], "Split 1 of 12 has no impostor pair"),
            (["--disjoint=person"], "disjoint"),
            (["--far=0"], "between 0 and 1"),
        ],
    )
    def test_impossible_questions(self, capsys, flags, tmp_path, more, words):
        out = tmp_path / "out"
        assert words in fails(capsys, *flags, "--baselines=pixels", *more, f"--out={out}")
        assert not out.exists()

    def test_whatever_is_no_picture_is_listed(self, capsys, flags, people, tmp_path):
        images = shutil.copytree(people, tmp_path / "images")
        (images / "P_03" / "1.png").write_bytes(b"no picture")
        (images / "P_05" / "0.png").write_bytes((images / "P_05" / "0.png").read_bytes()[:-20])
        (images / "P_05" / "notes.txt").write_text("notes")
        more = [f"--images={images}", "--baselines=pixels", f"--out={tmp_path / 'out'}"]
        message = fails(capsys, *flags, *more)
        assert "3 things in images are no usable pictures" in message
        for name in ("P_03/1.png (not an image", "P_05/0.png (", "P_05/notes.txt (unsupported"):
            assert name in message
        assert not (tmp_path / "out").exists()

    def test_a_picture_that_is_listed_twice_is_refused(self, capsys, flags, people, tmp_path):
        files = sorted(people.rglob("*.png"))
        lines = [f"{file},{file.parent.name}" for file in [*files, files[4]]]
        lines[-1] = lines[-1].replace("P_00/4", "P_01/../P_00/4", 1)
        listing = tmp_path / "twice.csv"
        listing.write_text("\n".join(["path,identity", *lines]))
        more = [f"--images={listing}", "--baselines=pixels", f"--out={tmp_path / 'out'}"]
        message = fails(capsys, *flags, *more)
        assert "Of twice come again 1: " in message and "P_01/../P_00/4.png" in message


class TestSplits:
    def test_zeros_lie_at_two_from_all_others_and_at_none_from_each_other(self):
        embedding = np.array([[0, 0], [1, 0], [0, 0], [0, 1]], np.float32)
        halves = np.array([0, 1]), np.array([2, 3])
        ((rows, columns),) = sort_splits(embedding, np.arange(4), [halves])
        distance = 2 - 2 * rows.embedding @ columns.embedding.T
        np.testing.assert_array_equal(distance, [[0, 2], [2, 2]])

    def test_one_split_with_too_few_impostors_refuses_the_far(self):
        rng = np.random.default_rng(0)
        embedding = rng.normal(size=(60, 8))
        embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
        label = np.arange(60) % 5
        few, many = np.arange(20), np.arange(20, 60)
        splits = [(few[:10], few[10:]), (many[:20], many[20:])]
        counted = []
        for rows, columns in sort_splits(embedding, label, splits):
            matrix = PairMatrix(rows, columns)
            counted.append((matrix, matrix.histogram()))
        scores, pooled = score_splits(counted, (0.2, 0.05))
        assert [("refused" in point) for point in scores["val_at_far"]] == [False, True]
        assert scores["val_at_far"][1]["refused"].startswith("80 impostor pairs")
        assert pooled.genuine.sum() + pooled.impostor.sum() == 100 + 400
        insisted, _ = score_splits(counted, (0.05,), allow_few=True)
        assert len(insisted["val_at_far"][0]["splits"]) == 2
