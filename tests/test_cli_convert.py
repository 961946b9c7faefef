"""The verb `convert`: what it writes and prints, and one clear line for every bad file."""

import json
import pickle
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import facezoo
from facezoo import conversion
from facezoo.cli.main import main
from facezoo.conversion import weight_files
from tests.foreign_networks import small_y1

ERROR = 2
needs_torch = pytest.mark.usefixtures("torch")


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="extra backends: torch")


@pytest.fixture
def arrays():
    return small_y1(np.random.default_rng(0))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "preset"


class Malicious:
    """Unpickled, it leaves a file behind."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def save(path, arrays):
    np.savez(path, **arrays)
    return path


def convert(source, out):
    return main(["convert", f"--from={source}", f"--out={out}"])


def fails(capsys, source, out):
    """Runs a conversion that must fail; returns the one line that says why."""
    before = out.exists()
    assert convert(source, out) == ERROR
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1, printed.err
    assert out.exists() == before
    assert not out.with_name("preset.partial").exists()
    return printed.err


class TestConverts:
    def test_the_preset_embeds_as_the_converted_model(self, arrays, tmp_path, out, capsys):
        source = save(tmp_path / "y1.npz", arrays)
        assert convert(source, out) == 0
        model, saved = conversion.convert_weights(source), facezoo.FaceModel.from_preset(out)
        assert saved.preprocessing == model.preprocessing
        image = np.random.default_rng(1).normal(size=(2, 32, 24, 3)).astype(np.float32)
        for name, expected in model(image, training=False).items():
            np.testing.assert_array_equal(saved(image, training=False)[name], expected)
        assert sorted(file.name for file in out.iterdir()) == ["model.keras", "preset.json"]
        assert sorted(file.name for file in tmp_path.iterdir()) == ["preset", "y1.npz"]

    def test_says_what_was_recognised(self, arrays, tmp_path, out, capsys):
        assert convert(save(tmp_path / "y1.npz", arrays), out) == 0
        printed = capsys.readouterr().out
        for words in (
            "mobilefacenet_mxnet  (insightface model-y1",
            "mobilefacenet, ",
            "32 x 24 pixels, RGB, standardization 'fixed'",
            "aligned to five points",
            "6 numbers",
            f"preset     {out}\n",
        ):
            assert words in printed

    def test_json(self, arrays, tmp_path, out, capsys):
        source = save(tmp_path / "y1.npz", arrays)
        assert main(["convert", f"--from={source}", f"--out={out}", "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["layout"] == "mobilefacenet_mxnet"
        assert (report["height"], report["width"], report["embedding_dim"]) == (32, 24, 6)
        assert report["parameters"] == facezoo.FaceModel.from_preset(out).count_params()

    def test_an_empty_folder_may_be_there(self, arrays, tmp_path, out):
        out.mkdir()
        assert convert(save(tmp_path / "y1.npz", arrays), out) == 0
        assert (out / "preset.json").is_file()

    def test_what_a_killed_run_left_is_cleared(self, arrays, tmp_path, out):
        (tmp_path / "preset.partial").mkdir()
        (tmp_path / "preset.partial" / "rubbish").touch()
        assert convert(save(tmp_path / "y1.npz", arrays), out) == 0
        assert sorted(file.name for file in out.iterdir()) == ["model.keras", "preset.json"]

    def test_half_precision_is_read(self, arrays, tmp_path, out):
        halves = {name: array.astype(np.float16) for name, array in arrays.items()}
        assert convert(save(tmp_path / "y1.npz", halves), out) == 0

    def test_help_lists_the_layouts(self, capsys):
        assert main(["convert", "--help"]) == 0
        printed = capsys.readouterr().out
        assert "davidsandberg/facenet" in printed
        assert "MobileFaceNet_Pytorch" in printed


class TestUsage:
    @pytest.mark.parametrize("flags", [[], ["--from=a.npz"], ["--out=b"]])
    def test_both_flags_are_needed(self, flags, capsys):
        assert main(["convert", *flags]) == ERROR
        assert "needs --from=FILE and --out=PRESET_DIR" in capsys.readouterr().err

    def test_a_file_without_a_flag(self, capsys):
        assert main(["convert", "a.npz"]) == ERROR
        assert "convert takes flags only. Received: a.npz." in capsys.readouterr().err

    def test_a_taken_folder_is_left_alone(self, arrays, tmp_path, out, capsys):
        out.mkdir()
        (out / "mine").write_text("mine")
        message = fails(capsys, save(tmp_path / "y1.npz", arrays), out)
        assert "must be a new or an empty folder" in message
        assert (out / "mine").read_text() == "mine"

    def test_a_file_in_place_of_the_folder(self, arrays, tmp_path, out, capsys):
        out.write_text("mine")
        assert "must be a folder" in fails(capsys, save(tmp_path / "y1.npz", arrays), out)

    def test_a_full_disk_leaves_nothing(self, arrays, tmp_path, out, capsys, monkeypatch):
        def save_half(model, path):
            Path(path).write_bytes(b"half")
            raise OSError("No space left on device")

        monkeypatch.setattr(keras.Model, "save", save_half)
        assert "No space left" in fails(capsys, save(tmp_path / "y1.npz", arrays), out)


class TestArraysThatDoNotFit:
    def broken(self, arrays, tmp_path, out, capsys):
        message = fails(capsys, save(tmp_path / "y1.npz", arrays), out)
        assert f"{tmp_path / 'y1.npz'} is laid out like mobilefacenet_mxnet" in message
        return message

    def test_missing(self, arrays, tmp_path, out, capsys):
        del arrays["res_3_block0_conv_dw_relu_gamma"], arrays["fc1_beta"]
        message = self.broken(arrays, tmp_path, out, capsys)
        assert "Missing: res_3_block0_conv_dw_relu_gamma, fc1_beta. Give" in message

    @pytest.mark.parametrize(
        "name", ["conv_1_conv2d_weight", "res_3_block0_conv_sep_conv2d_weight", "fc1_moving_mean"]
    )
    def test_missing_where_the_architecture_is_read(self, name, arrays, tmp_path, out, capsys):
        del arrays[name]
        assert f"Missing: {name}." in self.broken(arrays, tmp_path, out, capsys)

    def test_left_over(self, arrays, tmp_path, out, capsys):
        arrays |= {f"extra_{number}": np.ones(2) for number in range(7)}
        message = self.broken(arrays, tmp_path, out, capsys)
        assert "Left over: extra_0, extra_1, extra_2, extra_3, extra_4 and 2 more." in message

    def test_another_shape(self, arrays, tmp_path, out, capsys):
        arrays["conv_6sep_batchnorm_beta"] = np.ones(7)
        message = self.broken(arrays, tmp_path, out, capsys)
        assert "Another shape: conv_6sep_batchnorm_beta (7,) for (20,)." in message

    def test_another_number_of_axes(self, arrays, tmp_path, out, capsys):
        arrays["conv_6dw7_7_conv2d_weight"] = np.ones((20, 4, 3))
        message = self.broken(arrays, tmp_path, out, capsys)
        assert "conv_6dw7_7_conv2d_weight with 4 axes. Received: (20, 4, 3)" in message

    def test_not_a_number(self, arrays, tmp_path, out, capsys):
        arrays["conv_1_relu_gamma"][3] = np.nan
        message = self.broken(arrays, tmp_path, out, capsys)
        assert "conv_1_relu_gamma holds infinite numbers or NaN" in message

    def test_another_architecture_lists_the_known_ones(self, tmp_path, out, capsys):
        source = save(tmp_path / "dlib.npz", {"fc_1": np.ones(3), "con_2": np.ones(4)})
        message = fails(capsys, source, out)
        assert "holds the weights of no network that can be converted" in message
        assert "davidsandberg (davidsandberg/facenet" in message
        assert "Received: con_2, fc_1." in message


class TestFilesThatCannotBeRead:
    def test_no_such_file(self, tmp_path, out, capsys):
        assert "There is no weight file" in fails(capsys, tmp_path / "nothing.pt", out)

    def test_empty_file(self, tmp_path, out, capsys):
        (tmp_path / "empty.pb").touch()
        assert "is empty" in fails(capsys, tmp_path / "empty.pb", out)

    def test_empty_folder(self, tmp_path, out, capsys):
        (tmp_path / "folder").mkdir()
        message = fails(capsys, tmp_path / "folder", out)
        assert "must hold one TensorFlow checkpoint" in message
        assert "Received: none" in message

    def test_text(self, tmp_path, out, capsys):
        (tmp_path / "weights.txt").write_text("Not weights at all.")
        message = fails(capsys, tmp_path / "weights.txt", out)
        assert "is no weight file, or cut off" in message
        assert "Expected: a PyTorch checkpoint, an .npz" in message

    def test_cut_off_npz(self, arrays, tmp_path, out, capsys):
        source = save(tmp_path / "y1.npz", arrays)
        source.write_bytes(source.read_bytes()[:-100])
        assert "is cut off or damaged" in fails(capsys, source, out)

    def test_damaged_npz(self, arrays, tmp_path, out, capsys):
        source = save(tmp_path / "y1.npz", arrays)
        content = bytearray(source.read_bytes())
        content[2000] ^= 0xFF
        source.write_bytes(content)
        assert "is cut off or damaged" in fails(capsys, source, out)

    def test_objects_in_npz_are_not_unpickled(self, arrays, tmp_path, out, capsys):
        trace = tmp_path / "trace"
        arrays["fc1_weight"] = np.array([Malicious(trace)], dtype=object)
        assert "holds objects" in fails(capsys, save(tmp_path / "y1.npz", arrays), out)
        assert not trace.exists()

    def test_cut_off_graph(self, tmp_path, out, capsys):
        with tf.Graph().as_default() as graph:
            tf.constant(np.ones((50, 50), np.float32), name="weights")
        whole = graph.as_graph_def().SerializeToString()
        (tmp_path / "frozen.pb").write_bytes(whole[: len(whole) // 2])
        message = fails(capsys, tmp_path / "frozen.pb", out)
        assert "is no weight file, or cut off" in message

    def test_checkpoint_without_its_data(self, tmp_path, out, capsys):
        prefix = save_checkpoint(tmp_path / "checkpoint_dir", "model-1")
        Path(f"{prefix}.data-00000-of-00001").unlink()
        assert "is no whole TensorFlow checkpoint" in fails(capsys, prefix, out)

    def test_cut_off_checkpoint(self, tmp_path, out, capsys):
        prefix = save_checkpoint(tmp_path / "checkpoint_dir", "model-1")
        data = Path(f"{prefix}.data-00000-of-00001")
        data.write_bytes(data.read_bytes()[:100])
        assert "is no whole TensorFlow checkpoint" in fails(capsys, prefix, out)

    def test_pytorch_file_without_pytorch(self, tmp_path, out, capsys, monkeypatch):
        monkeypatch.setitem(sys.modules, "torch", None)
        (tmp_path / "state.pt").write_bytes(pickle.dumps({}))
        message = fails(capsys, tmp_path / "state.pt", out)
        assert 'Install it: pip install "facezoo[backends]"' in message


def save_checkpoint(folder, name):
    folder.mkdir(exist_ok=True)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.get_variable("one/weights", initializer=np.ones((9, 9), np.float32))
        tf.compat.v1.get_variable("step", initializer=np.int64(3))
        session.run(tf.compat.v1.global_variables_initializer())
        return tf.compat.v1.train.Saver().save(session, str(folder / name))


class TestTensorFlowFiles:
    @pytest.mark.parametrize("ending", ["", ".index", ".data-00000-of-00001", ".meta"])
    def test_checkpoint_by_any_of_its_names(self, ending, tmp_path):
        prefix = save_checkpoint(tmp_path, "model-1")
        found = weight_files.read(prefix + ending)
        assert {name: array.shape for name, array in found.items()} == {
            "one/weights": (9, 9),
            "step": (),
        }

    def test_words_in_a_graph_are_passed_over(self, tmp_path):
        with tf.Graph().as_default() as graph:
            tf.constant(np.ones((2, 3), np.float16), name="one/weights")
            tf.constant("words", name="label")
        (tmp_path / "frozen.pb").write_bytes(graph.as_graph_def().SerializeToString())
        found = weight_files.read(tmp_path / "frozen.pb")
        assert {name: array.dtype for name, array in found.items()} == {"one/weights": np.float32}

    def test_folder_means_its_latest(self, tmp_path):
        save_checkpoint(tmp_path, "model-2")
        save_checkpoint(tmp_path, "model-1")
        Path(tmp_path / "model-2.data-00000-of-00001").unlink()
        assert set(weight_files.read(tmp_path)) == {"one/weights", "step"}

    def test_folder_without_word_on_the_latest(self, tmp_path):
        save_checkpoint(tmp_path, "model-1")
        (tmp_path / "checkpoint").unlink()
        assert set(weight_files.read(tmp_path)) == {"one/weights", "step"}
        save_checkpoint(tmp_path, "model-2")
        (tmp_path / "checkpoint").unlink()
        with pytest.raises(ValueError, match="model-1, .*model-2. Give one"):
            weight_files.read(tmp_path)


@needs_torch
class TestPyTorchFiles:
    @pytest.mark.parametrize(
        "wrap",
        [
            lambda state: state,
            lambda state: {"net_state_dict": state, "epoch": 3},
            lambda state: {"state_dict_backbone": state, "state_dict_softmax_fc": dict(state)},
            lambda state: {"weights": state, "epoch": 3},
            lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
            lambda state: {f"module._orig_mod.{name}": tensor for name, tensor in state.items()},
        ],
        ids=["plain", "nested", "of several", "only one", "parallel", "compiled"],
    )
    @pytest.mark.parametrize("zipped", [True, False])
    def test_finds_the_network(self, wrap, zipped, torch, tmp_path):
        state = {"a.weight": torch.ones(2, 3, dtype=torch.bfloat16), "b.steps": torch.tensor(4)}
        path = tmp_path / "state.pt"
        torch.save(wrap(state), path, _use_new_zipfile_serialization=zipped)
        found = weight_files.read(path)
        np.testing.assert_array_equal(found["a.weight"], np.ones((2, 3), np.float32))
        assert set(found) == {"a.weight", "b.steps"}

    @pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {}])
    def test_no_state_dict(self, content, torch, tmp_path, out, capsys):
        torch.save(content, tmp_path / "state.pt")
        assert "holds no state dict" in fails(capsys, tmp_path / "state.pt", out)

    @pytest.mark.parametrize("zipped", [True, False])
    def test_cut_off(self, zipped, torch, tmp_path, out, capsys):
        path = tmp_path / "state.pt"
        torch.save({"a": torch.ones(500)}, path, _use_new_zipfile_serialization=zipped)
        path.write_bytes(path.read_bytes()[:-700])
        assert "damaged" in fails(capsys, path, out)

    def test_code_in_a_checkpoint_does_not_run(self, torch, tmp_path, out, capsys):
        trace = tmp_path / "trace"
        torch.save({"a": torch.ones(2), "evil": Malicious(trace)}, tmp_path / "state.pt")
        assert "could run code and are never loaded" in fails(capsys, tmp_path / "state.pt", out)
        assert not trace.exists()

    def test_code_in_a_bare_pickle_does_not_run(self, tmp_path, out, capsys):
        trace = tmp_path / "trace"
        (tmp_path / "state.pt").write_bytes(pickle.dumps(Malicious(trace)))
        assert "could run code and are never loaded" in fails(capsys, tmp_path / "state.pt", out)
        assert not trace.exists()

    def test_the_malicious_pickle_is_malicious(self, tmp_path):
        trace = tmp_path / "trace"
        pickle.loads(pickle.dumps(Malicious(trace)))
        assert trace.exists()
