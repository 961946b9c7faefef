"""`python -m facezoo train`: one data set, several, a job, and what is said when it cannot be."""

import json
import shutil

import numpy as np
import pytest

from facezoo.cli.main import main
from facezoo.data.record_index import RecordIndex
from facezoo.models import FaceModel
from tests.shards import write_shards
from tests.small_model import SHAPE
from tests.small_training import use_small_network

ERROR = 2
NAMES = ("fiw", "celeba")
# Four people with two pictures each.
LABELS = np.repeat(np.arange(4), 2)
SMALL = [
    *("--set=batch_size=4", "--set=images_per_identity=2"),
    *("--set=margin.epochs=1", "--set=triplet.epochs=1"),
]


def write_set(folder, dataset, labels=LABELS, size=SHAPE[:2]):
    """Writes what Transform does: shards of a split, and their index beside them."""
    height, width = size
    split = folder / "Split-train"
    shards = write_shards(split, labels, height=height, width=width, dataset=dataset)
    RecordIndex.build(shards, folder / "Index-train")
    return str(folder)


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    return [write_set(folder / name, name) for name in NAMES]


@pytest.fixture
def refused(capsys, tmp_path):
    """Runs the verb, which must fail without having written anything, and returns what it says."""

    def refused(*arguments, out=True):
        made = [f"--out={tmp_path / 'out'}"] if out else []
        assert main(["train", *made, *arguments]) == ERROR
        said = capsys.readouterr()
        assert said.out == "" and "Traceback" not in said.err
        assert not (tmp_path / "out" / "model.keras").exists()
        return said.err

    return refused


@pytest.fixture
def keep_job(refused, tmp_path, monkeypatch):
    """Returns the file of the job that the verb would do."""

    def keep_job(examples):
        def keep(job):
            job.save(tmp_path / "job.json")
            raise ValueError("Kept.")

        with monkeypatch.context() as patch:
            patch.setattr("facezoo.cli.train.open_batches", keep)
            assert "Kept." in refused(f"--examples={examples}", *SMALL)
        return tmp_path / "job.json"

    return keep_job


@pytest.mark.slow
def test_one_set(examples, tmp_path, capsys, monkeypatch):
    use_small_network(monkeypatch)
    out = tmp_path / "out"
    assert main(["train", f"--examples={examples[0]}", f"--out={out}", *SMALL]) == 0
    history = json.loads((out / "history.json").read_text())
    assert [(entry["stage"], entry["step"]) for entry in history] == [("margin", 2), ("triplet", 4)]
    assert capsys.readouterr().out == f"4 steps, loss {history[-1]['loss']:.4f}: {out}\n"
    model = FaceModel.from_preset(out)
    assert model.head.num_classes == 4
    assert sorted(path.name for path in out.iterdir()) == (
        ["history.json", "model.keras", "preset.json", "train"]
    )


@pytest.mark.slow
def test_two_sets_with_a_network_of_the_zoo_in_json(tmp_path, capsys):
    out, duplicates = tmp_path / "out", tmp_path / "duplicates.txt"
    duplicates.write_text("fiw/person 1\tceleba/person 3\t0.9\n")
    sets = [f"--examples={write_set(tmp_path / one, one, size=(16, 16))}" for one in NAMES]
    more = [
        *("--set=backbone=mobilefacenet", "--set=embedding_dim=4", "--set=triplet.epochs=0"),
        *("--set=loss_weights=0.7,0.3", f"--set=duplicates={duplicates}", "--json"),
    ]
    assert main(["train", *sets, f"--out={out}", *SMALL, *more]) == 0
    printed = json.loads(capsys.readouterr().out)
    history = json.loads((out / "history.json").read_text())
    last = {key: history[-1][key] for key in ("stage", "step", "loss")}
    assert printed == {**last, "out": str(out)}
    assert {"class_accuracy/fiw", "class_accuracy/celeba"} <= set(history[0])
    head = FaceModel.from_preset(out).head
    assert (head.names, head.num_classes) == (["fiw", "celeba"], 8)
    assert head.sets.duplicates == [[1, 7]]


@pytest.mark.slow
def test_a_job_of_another_machine_is_joined_without_a_model(
    keep_job, examples, capsys, monkeypatch
):
    use_small_network(monkeypatch)
    path = keep_job(examples[0])
    assert main(["train", f"--job={path}"]) == 0
    assert capsys.readouterr().out.startswith("4 steps, loss ")
    assert not (path.parent / "out" / "model.keras").exists()


def test_a_folder_without_shards(refused, tmp_path, examples):
    (tmp_path / "nothing").mkdir()
    assert "No shards in " in refused(f"--examples={tmp_path / 'nothing'}")
    said = refused(f"--examples={examples[0]}", f"--examples={tmp_path / 'missing'}")
    assert f"No shards in {tmp_path / 'missing'}. Expected: files named *tfrecord*" in said


def test_empty_shards(refused, tmp_path):
    assert "hold no images" in refused(f"--examples={write_set(tmp_path / 'void', 'void', [])}")


def test_a_damaged_shard(refused, tmp_path, examples):
    shutil.copytree(examples[0], tmp_path / "damaged")
    (shard, *_) = sorted((tmp_path / "damaged" / "Split-train").iterdir())
    shard.write_bytes(shard.read_bytes()[:-7])
    assert str(shard) in refused(f"--examples={tmp_path / 'damaged'}")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("batchsize=8", "Unknown key 'batchsize' in --set batchsize. Did you mean 'batch_size'?"),
        ("margin.epoch=8", "Did you mean 'epochs'?"),
        ("batch_size=many", "--set batch_size wants int. Received: 'many'"),
        ("batch_size=41", "must be a multiple of images_per_identity"),
        ("batch_size", "--set wants key=value"),
        ("loss_weights=a", "loss_weights must be one number for each data set"),
        ("loss_weights=1.0", "loss_weights needs several data sets, and there is one"),
        ("backbone=resnet", "resnet"),
    ],
)
def test_a_wrong_value(refused, examples, assignment, message):
    assert message in refused(f"--examples={examples[0]}", *SMALL, f"--set={assignment}")


def test_data_smaller_than_a_batch(refused, examples):
    said = refused(f"--examples={examples[0]}", *SMALL, "--set=batch_size=10")
    assert "needs that many different people. Expected: 1 to 4" in said


def test_nothing_to_do(refused, examples):
    none = ["--set=margin.epochs=0", "--set=triplet.epochs=0"]
    said = refused(f"--examples={examples[0]}", *SMALL, *none)
    assert "All stages have 0 epochs" in said


def test_the_same_set_twice(refused, examples):
    said = refused(f"--examples={examples[0]}", f"--examples={examples[0]}/../fiw")
    assert "A data set that comes twice" in said


def test_sets_that_cannot_be_told_apart(refused, examples, tmp_path):
    twin = write_set(tmp_path / "fiw", "fiw")
    said = refused(f"--examples={examples[0]}", f"--examples={twin}", *SMALL)
    assert "need different names" in said and "--set example_gen.dataset=NAME" in said


def test_a_wrong_list_of_duplicates(refused, examples, tmp_path):
    sets = [f"--examples={one}" for one in examples]
    assert "no.txt" in refused(*sets, *SMALL, f"--set=duplicates={tmp_path / 'no.txt'}")
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("fiw/person 0\tceleba/persn 1\n")
    said = refused(*sets, *SMALL, f"--set=duplicates={wrong}")
    assert f"{wrong}, line 1: Nobody in the data set 'celeba' is called 'persn 1'. Did you" in said


def test_rows_that_cannot_be_dealt_out(refused, examples):
    sets = [f"--examples={one}" for one in examples]
    assert "x 3 (num_chunks)" in refused(*sets, *SMALL, "--set=num_chunks=3")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"recipe": {"batchsize": 3}}', "not JSON"])
def test_a_file_that_is_no_job(refused, tmp_path, content):
    path = tmp_path / "job.json"
    path.write_text(content)
    said = refused(f"--job={path}", out=False)
    assert f"{path} is no job that the Trainer or `facezoo train` wrote" in said


def test_a_job_that_is_not_there_or_whose_shards_are_gone(refused, keep_job, tmp_path, examples):
    assert "missing.json" in refused(f"--job={tmp_path / 'missing.json'}", out=False)
    shutil.copytree(examples[0], tmp_path / "moved")
    path = keep_job(str(tmp_path / "moved"))
    shutil.rmtree(tmp_path / "moved")
    assert "moved" in refused(f"--job={path}", out=False)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--examples=a"],
        ["--out=b"],
        ["--examples=a", "--out=b", "--job=c"],
        ["--out=b", "--job=c"],
        ["--examples=a", "--examples=b"],
    ],
)
def test_flags_that_do_not_fit_are_answered_with_the_usage(refused, arguments):
    said = refused(*arguments, out=False)
    assert "train needs --examples=DIR and --out=DIR, or --job=FILE alone." in said
    assert "Usage: python -m facezoo train --examples=DIR" in said


def test_arguments_without_a_flag(refused):
    assert "train takes flags only. Received: folder." in refused("folder")


def test_an_unknown_strategy(refused, examples):
    assert "strategy" in refused(f"--examples={examples[0]}", "--strategy=all")
