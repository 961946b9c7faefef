"""`python -m facezoo evaluate`: a small benchmark from the list of pairs to the report."""

import itertools
import json
import shutil

import numpy as np
import pytest

import facezoo
from facezoo import presets, thresholds
from facezoo.cli.main import main
from facezoo.data.manifest_file import save_manifest
from facezoo.data.people_manifest import build_manifest
from facezoo.models import model_fingerprint
from facezoo.serving import export_saved_model
from tests.coloured_people import draw_color, save_picture, save_tiny_preset

_NUM_PEOPLE, _NUM_IMAGES = 12, 3


def _write_people(folder, prefix, seed):
    """Pictures whose colours tell their people apart, more or less."""
    rng = np.random.default_rng(seed)
    for number in range(_NUM_PEOPLE):
        name = f"{prefix}_{number:02}"
        (folder / name).mkdir(parents=True)
        color = draw_color(rng)
        for image in range(1, _NUM_IMAGES + 1):
            save_picture(folder / name / f"{name}_{image:04}.png", rng, color, spread=10)


def _write_pairs(path, prefix):
    lines = ["first,second,same,first_person,second_person,family"]
    for one in range(_NUM_PEOPLE):
        for other in range(one, _NUM_PEOPLE):
            names = [f"{prefix}_{number:02}" for number in (one, other)]
            first, second = (f"{name}/{name}_{2 - (one != other):04}.png" for name in names)
            first = f"{names[0]}/{names[0]}_0001.png"
            family = "close" if (one + other) % 2 else "far"
            lines.append(f"{first},{second},{int(one == other)},{names[0]},{names[1]},{family}")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two lists of pairs of different people, and their pictures."""
    folder = tmp_path_factory.mktemp("data")
    for seed, prefix in enumerate(("Test", "Choose")):
        _write_people(folder / "images", prefix, seed)
        _write_pairs(folder / f"{prefix}.csv", prefix)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_preset(tmp_path_factory.mktemp("preset"))


@pytest.fixture(scope="module")
def flags(data, model):
    return [
        "evaluate",
        f"--model={model}",
        "--protocol=csv",
        f"--images={data / 'images'}",
        f"--pairs={data / 'Test.csv'}",
        "--num_resamples=20",
        "--far=0.5,0.01",
    ]


@pytest.fixture(scope="module")
def evaluated(data, flags, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    choose = f"--choose_on={data / 'Choose.csv'}"
    assert main([*flags, choose, f"--out={out}", "--baselines=pixels,hog"]) == 0
    return out


def read(out, name="report.json"):
    return json.loads((out / name).read_text())


def fails(capsys, *arguments):
    """Runs the verb, which must fail with one message, and returns it."""
    capsys.readouterr()
    assert main(list(arguments)) == 2
    said = capsys.readouterr()
    assert said.out == "" and "Traceback" not in said.err
    return said.err


def test_the_report_holds_the_model_first_and_then_the_baselines(evaluated):
    report = read(evaluated)
    assert list(report["systems"]) == ["model", "pixels", "hog"]
    for system in report["systems"].values():
        low, high = system["auc_interval"]
        assert 0 <= low <= system["auc"] <= high <= 1
        assert system["accuracy_rule"].startswith("threshold chosen on 12 genuine and 66")
        targets = [(point["target"], "refused" in point) for point in system["val_at_far"]]
        assert targets == [(0.5, False), (0.01, True)]
    # Colours tell these people apart, which pixels less their mean do not show.
    assert report["systems"]["model"]["auc"] > 0.7


def test_the_report_says_on_what_and_how(evaluated, model):
    report = read(evaluated)
    assert report["protocol"]["num_genuine"] == 12
    assert report["protocol"]["num_impostor"] == 66
    assert report["protocol"]["num_people"] == 12
    assert len(report["protocol"]["digest"]) == 64
    assert report["options"]["flip"] == "none" and report["options"]["crop"] == 1.0
    assert report["contaminated"] is None
    found = facezoo.FaceModel.from_preset(model)
    assert report["systems"]["model"]["fingerprint"] == model_fingerprint(found)
    assert report["systems"]["model"]["preprocessing"] == found.preprocessing.fingerprint()


def test_slices_are_those_of_the_list_and_of_the_pictures(evaluated):
    rows = read(evaluated)["systems"]["model"]["slices"]
    families = {row["value"]: row for row in rows if row["slice"] == "family"}
    assert families["close"]["num_genuine"] == 0 and families["close"]["auc"] is None
    assert families["close"]["num_impostor"] + families["far"]["num_impostor"] == 66
    thirds = [row for row in rows if row["slice"].startswith("brightness")]
    assert sum(row["num_genuine"] + row["num_impostor"] for row in thirds) == 78


def test_thresholds_are_written_and_bound(evaluated, model):
    table = read(evaluated, "thresholds.json")
    found = facezoo.FaceModel.from_preset(model)
    thresholds.check_bound(table, model_fingerprint(found), found.preprocessing.fingerprint())
    assert table["tested_on"] == "12 genuine and 66 impostor pairs of Test"
    assert read(evaluated)["thresholds"] == table


def test_page_and_logs_are_there(evaluated):
    page = (evaluated / "report.html").read_text()
    assert "histograms of oriented gradients" in page
    assert sorted(path.name for path in (evaluated / "tensorboard").iterdir())


def test_the_same_command_gives_the_same_report(data, flags, evaluated, tmp_path):
    choose = f"--choose_on={data / 'Choose.csv'}"
    assert main([*flags, choose, f"--out={tmp_path}", "--baselines=pixels,hog"]) == 0
    assert read(tmp_path) == read(evaluated)


def test_what_is_printed(capsys, flags, tmp_path):
    assert main([*flags, f"--out={tmp_path}", "--baselines="]) == 0
    out = capsys.readouterr().out
    assert "12 genuine and 66 impostor pairs of 24 images" in out
    assert "66 impostor pairs are too few: below 10 / 0.01" in out
    assert f"Report: {tmp_path / 'report.html'}" in out
    assert not (tmp_path / "thresholds.json").exists()


def test_an_earlier_evaluation_is_replaced_and_nothing_else(flags, data, tmp_path):
    (tmp_path / "tensorboard" / "mine").mkdir(parents=True)
    choose = [f"--choose_on={data / 'Choose.csv'}", f"--out={tmp_path}"]
    assert main([*flags, *choose, "--baselines=pixels"]) == 0
    assert (tmp_path / "tensorboard" / "mine").is_dir(), "no earlier evaluation was there"
    before = {path.name for path in (tmp_path / "tensorboard").iterdir()} - {"mine"}
    assert main([*flags, f"--out={tmp_path}", "--baselines="]) == 0
    after = {path.name for path in (tmp_path / "tensorboard").iterdir()}
    assert after < before
    assert not (tmp_path / "thresholds.json").exists()


def test_json(capsys, flags, tmp_path):
    assert main([*flags, f"--out={tmp_path}", "--baselines=", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == read(tmp_path)


def test_without_a_model_the_baselines_run(flags, tmp_path):
    without = [flag for flag in flags if not flag.startswith("--model")]
    assert main([*without, f"--out={tmp_path}", "--baselines=lbp"]) == 0
    report = read(tmp_path)
    assert list(report["systems"]) == ["lbp"]
    assert report["thresholds"] is None


def test_flip_scales_and_crop_change_the_scores_and_are_named(flags, evaluated, tmp_path):
    options = ["--crop=0.5", "--flip=concat", "--scales=1,1.5"]
    assert main([*flags, *options, f"--out={tmp_path}", "--baselines="]) == 0
    report = read(tmp_path)
    assert report["options"]["flip"] == "concat" and report["options"]["scales"] == [1.0, 1.5]
    assert report["systems"]["model"]["embedding_dim"] == 4 * 8
    assert report["systems"]["model"]["auc"] != read(evaluated)["systems"]["model"]["auc"]


@pytest.mark.slow
def test_robustness(flags, tmp_path):
    assert main([*flags, "--robustness", f"--out={tmp_path}", "--baselines="]) == 0
    tables = {table["name"]: table for table in read(tmp_path)["robustness"]}
    qualities = [row["value"] for row in tables["JPEG quality"]["rows"]]
    assert qualities == [10, 20, 30, 50, 70, 90, None]
    assert [row["value"] for row in tables["Embedding size"]["rows"]] == [8]
    unspoiled = read(tmp_path)["systems"]["model"]["auc"]
    assert all(table["rows"][-1]["auc"] == unspoiled for table in tables.values())
    assert all(table["far_target"] == 0.5 for table in tables.values())


def test_store_puts_the_thresholds_into_the_preset(capsys, data, flags, model, tmp_path):
    mine = shutil.copytree(model, tmp_path / "mine")
    flags = [flag for flag in flags if not flag.startswith("--model")] + [f"--model={mine}"]
    choose = [f"--choose_on={data / 'Choose.csv'}", "--baselines=", "--store"]
    assert main([*flags, *choose, f"--out={tmp_path / 'out'}"]) == 0
    assert presets.load(mine)["thresholds"] == read(tmp_path / "out", "thresholds.json")
    picture = str(data / "images" / "Test_00" / "Test_00_0001.png")
    assert main(["verify", picture, picture, f"--model={mine}"]) == 0
    capsys.readouterr()
    # Thresholds of a crop are not thresholds of the whole picture.
    assert main([*flags, *choose, f"--out={tmp_path / 'out'}", "--crop=0.5"]) == 0
    assert "another preprocessing" in fails(capsys, "verify", picture, picture, f"--model={mine}")
    assert main(["verify", picture, picture, f"--model={mine}", "--crop=0.5"]) == 0


def test_verify_embeds_as_evaluate_does(capsys, data, model, flags, tmp_path):
    views = ["--crop=0.5", "--flip=concat", "--scales=1,1.5"]
    assert main([*flags, *views, f"--out={tmp_path}", "--baselines=", "--num_resamples=2"]) == 0
    benchmark_page = (tmp_path / "report.html").read_text()
    pair = [str(data / "images" / name) for name in ("Test_00/Test_00_0001.png",) * 2]
    pair[1] = pair[1].replace("0001", "0002")
    capsys.readouterr()
    main(["verify", *pair, f"--model={model}", *views, "--json"])
    distance = json.loads(capsys.readouterr().out)["distance"]
    assert f"{distance:.4f}" in benchmark_page


@pytest.mark.slow
def test_a_saved_model_holds_thresholds_too(data, flags, model, tmp_path):
    served = tmp_path / "served" / "3"
    export_saved_model(facezoo.FaceModel.from_preset(model), served)
    (served / "assets.extra").mkdir()
    preset = {**presets.load(model), "weights": None}
    presets.save(served / "assets.extra", preset)
    flags = [flag for flag in flags if not flag.startswith("--model")]
    flags += [f"--choose_on={data / 'Choose.csv'}", "--baselines=", "--store"]
    path = tmp_path / "served"
    assert main([*flags, f"--model={path}", f"--out={tmp_path / 'out'}"]) == 0
    assert read(tmp_path / "out")["title"] == "served on Test"
    assert main([*flags, f"--model={served}", f"--out={tmp_path / 'out'}"]) == 0
    assert read(tmp_path / "out")["title"] == "served/3 on Test"
    picture = str(data / "images" / "Test_00" / "Test_00_0001.png")
    assert main(["verify", picture, picture, f"--model={path}"]) == 0


class TestLeakGate:
    def test_a_report_says_when_nobody_looked(self, evaluated):
        found = read(evaluated)["overlap"]
        assert found == {"people_in_training": "not looked for: --train was not given"}

    def test_test_people_in_the_training_set_are_refused(self, capsys, data, flags, tmp_path):
        train = tmp_path / "train"
        shutil.copytree(data / "images" / "Test_03", train / "Somebody_Else")
        shutil.copytree(data / "images" / "Choose_01", train / "Choose_01")
        message = fails(capsys, *flags, f"--train={train}", f"--out={tmp_path / 'out'}")
        assert "people of the test are in the training set" in message
        assert "Test_03" in message and "--allow_overlap" in message
        assert not (tmp_path / "out").exists()

    def test_allowed_overlap_stamps_the_report(self, capsys, data, flags, tmp_path):
        train = tmp_path / "train"
        shutil.copytree(data / "images" / "Test_03", train / "Somebody_Else")
        shutil.copytree(data / "images" / "Choose_01", train / "Choose_01")
        arguments = [f"--train={train}", "--allow_overlap", f"--out={tmp_path / 'out'}"]
        assert main([*flags, *arguments, "--baselines="]) == 0
        report = read(tmp_path / "out")
        assert report["contaminated"]["num_people"] >= 1
        assert report["overlap"]["num_people_by_exact"] == 1
        assert "CONTAMINATED: " in capsys.readouterr().out
        page = (tmp_path / "out" / "report.html").read_text()
        assert report["contaminated"]["reason"] in page

    def test_a_manifest_stands_for_the_pictures(self, capsys, data, flags, tmp_path):
        shutil.copytree(data / "images" / "Test_03", tmp_path / "train" / "Somebody_Else")
        manifest = build_manifest(str(tmp_path / "train"))
        save_manifest(manifest, tmp_path / "train.npz")
        shutil.rmtree(tmp_path / "train")
        train = f"--train={tmp_path / 'train.npz'}"
        assert "Test_03" in fails(capsys, *flags, train, f"--out={tmp_path / 'out'}")

    def test_another_model_may_be_the_witness(self, capsys, data, flags, model, tmp_path):
        other = facezoo.FaceModel.from_preset(model)
        weight = other.embedding.trainable_weights[0]
        weight.assign(-2.0 * weight + 0.1)
        other.save_preset(tmp_path / "other")
        shutil.copytree(data / "images" / "Choose_01", tmp_path / "train" / "Choose_01")
        shutil.copytree(data / "images" / "Choose_02", tmp_path / "train" / "Choose_02")
        reports = []
        for witness in ([], [f"--witness={tmp_path / 'other'}"]):
            arguments = [f"--train={tmp_path / 'train'}", "--allow_overlap", *witness]
            out = tmp_path / f"out{len(reports)}"
            assert main([*flags, *arguments, f"--out={out}", "--baselines="]) == 0
            reports.append(read(out))
        one, another = (report["overlap"]["embedding_witness"] for report in reports)
        assert one.startswith(model_fingerprint(facezoo.FaceModel.from_preset(model)))
        assert another.startswith(model_fingerprint(other))
        assert reports[0]["systems"] == reports[1]["systems"]

    def test_look_alikes_who_were_looked_at_pass(self, capsys, data, flags, model, tmp_path):
        train = tmp_path / "train"
        for name in ("Choose_01", "Choose_02"):
            shutil.copytree(data / "images" / name, train / name)
        couples = itertools.product(("Choose_01", "Choose_02"), range(_NUM_PEOPLE))
        lines = [f"{train},{one},Test_{other:02}" for one, other in couples]
        header = "train_set,train_person,test_person"
        (tmp_path / "different.csv").write_text("\n".join([header, *lines]))
        different = f"--different={tmp_path / 'different.csv'}"
        out = tmp_path / "out"
        assert "in the training set" in fails(capsys, *flags, f"--train={train}", f"--out={out}")
        assert main([*flags, f"--train={train}", different, f"--out={out}", "--baselines="]) == 0
        assert read(out)["contaminated"] is None
        assert read(out)["overlap"]["num_couples_found_to_be_two_people"] >= 1

    @pytest.mark.parametrize("flag", ["witness", "different"])
    def test_these_need_somebody_to_look_for(self, capsys, flags, tmp_path, flag):
        arguments = [f"--{flag}={tmp_path}", f"--out={tmp_path / 'out'}"]
        assert f"--{flag} needs --train" in fails(capsys, *flags, *arguments)

    def test_baselines_have_no_training_set(self, capsys, flags, tmp_path):
        arguments = ["--model=", f"--train={tmp_path}", f"--out={tmp_path / 'out'}"]
        assert "--train needs --model" in fails(capsys, *flags, *arguments)


class TestErrors:
    def test_missing_images_are_listed(self, capsys, data, flags, tmp_path):
        images = shutil.copytree(data / "images", tmp_path / "images")
        (images / "Test_03" / "Test_03_0001.png").unlink()
        message = fails(capsys, *flags, f"--images={images}", f"--out={tmp_path / 'out'}")
        assert "Test_03/Test_03_0001.png" in message
        assert not (tmp_path / "out").exists()

    def test_a_damaged_image_is_named(self, capsys, data, flags, tmp_path):
        images = shutil.copytree(data / "images", tmp_path / "images")
        (images / "Test_03" / "Test_03_0001.png").write_bytes(b"no picture")
        message = fails(capsys, *flags, f"--images={images}", f"--out={tmp_path / 'out'}")
        assert "Test_03_0001.png is no usable image" in message

    def test_thresholds_are_not_chosen_on_the_people_they_are_tested_on(
        self, capsys, data, flags, tmp_path
    ):
        choose = f"--choose_on={data / 'Test.csv'}"
        message = fails(capsys, *flags, choose, f"--out={tmp_path / 'out'}")
        assert "share 24 images" in message and "Choose it on other people" in message

    @pytest.mark.parametrize(
        ("more", "words"),
        [
            (["--protocol=megaface"], "--protocol must be one of lfw, csv"),
            (["--pairs="], "--pairs is needed"),
            (["--images="], "--images is needed"),
            (["--images=nowhere"], "nowhere"),
            (["--baselines=sift"], "--baselines must be among pixels, hog, lbp"),
            (["--far=1e-2,many"], "--far must be numbers"),
            (["--far=2"], "between 0 and 1"),
            (["--crop=0"], "crop must be"),
            (["--flip=twice"], "flip"),
            (["--scales=2"], "more than the picture"),
            (["--store"], "--store needs --model and --choose_on"),
            (["--model=", "--baselines="], "Nothing to score"),
            (["--num_resamples=0"], "num_resamples must be at least"),
            (["a.jpg"], "flags only"),
        ],
    )
    def test_impossible_questions(self, capsys, flags, tmp_path, more, words):
        assert words in fails(capsys, *flags, *more, f"--out={tmp_path / 'out'}")
        assert not (tmp_path / "out").exists()


def test_folds_have_a_standard_error(capsys, data, flags, tmp_path):
    header, *rows = (data / "Test.csv").read_text().splitlines()
    genuine = [row for row in rows if ",1," in row]
    impostor = [row for row in rows if ",0," in row]
    lines = [f"{header},fold", *(f"{row},{i % 3}" for i, row in enumerate(genuine + impostor))]
    (tmp_path / "folds.csv").write_text("\n".join(lines) + "\n")
    folds = [f"--pairs={tmp_path / 'folds.csv'}", f"--out={tmp_path / 'out'}", "--baselines="]
    assert main([*flags, *folds]) == 0
    system = read(tmp_path / "out")["systems"]["model"]
    assert len(system["accuracy_fold_thresholds"]) == 3
    error = system["accuracy_standard_error"]
    assert f"± {error:.4f} over folds" in capsys.readouterr().out
