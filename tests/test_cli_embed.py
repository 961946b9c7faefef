"""`python -m facezoo embed`: what it finds, the tables it writes, and what goes wrong."""

import csv
import io
import json
import os
import threading

import numpy as np
import pytest
from PIL import Image

from facezoo.cli import embedded, model_loading
from facezoo.cli.main import main
from facezoo.cli.pictures import find_pictures, under
from tests.color_model import BLUE, GREEN, RED, color_model, embed, save_color

DIM = 3
DONE, SOME_UNREADABLE, ERROR, INTERRUPTED = 0, 1, 2, 130
UNDECODABLE = os.fsdecode(b"Zo\xeb\n.png")


@pytest.fixture(autouse=True)
def _color_model(monkeypatch):
    monkeypatch.setattr(model_loading, "load", lambda path: color_model())


@pytest.fixture
def pictures(tmp_path):
    colors = (RED, GREEN, BLUE)
    return [save_color(tmp_path / f"{i}, é.png", color) for i, color in enumerate(colors)]


@pytest.fixture
def broken(tmp_path):
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"no image")
    return str(path)


def fails(capsys, *arguments):
    assert main(["embed", *map(str, arguments)]) == ERROR
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return captured.err


def json_lines(capsys, *arguments):
    code = main(["embed", "--json", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, [json.loads(line) for line in captured.out.splitlines()], captured.err


class TestFindPictures:
    def test_a_folder_at_any_depth_by_suffix(self, tmp_path):
        for name in ("b/2.JPG", "b/deep/1.webp", "a/3.png", "4.pgm", "a/notes.txt", "a/jpg"):
            save_color(tmp_path / name, RED)
        found = find_pictures([str(tmp_path)])
        expected = ["4.pgm", "a/3.png", "b/2.JPG", "b/deep/1.webp"]
        assert found == [str(tmp_path / name) for name in expected]

    def test_patterns_and_the_folders_they_fit(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for name in ("a/1.png", "a/x/2.odd", "b/3.png"):
            save_color(tmp_path / name, RED)
        assert find_pictures(["**/*.png"]) == ["a/1.png", "b/3.png"]
        assert find_pictures(["a/**/*.odd"]) == ["a/x/2.odd"]
        assert find_pictures(["[ab]"]) == ["a/1.png", "b/3.png"]

    def test_arguments_keep_their_order_and_doubles_go(self, tmp_path):
        one, two, three = (save_color(tmp_path / f"{i}.png", RED) for i in (1, 2, 3))
        os.link(one, tmp_path / "4.png")
        round_about = os.path.join(tmp_path, "..", tmp_path.name, "3.png")
        assert find_pictures([three, str(tmp_path), round_about]) == [three, one, two]
        assert find_pictures(["gone.png", "./gone.png"]) == ["gone.png"]

    def test_names_that_look_like_patterns_or_are_no_text(self, tmp_path):
        odd = [save_color(tmp_path / name, RED) for name in ("[a].png", "a.png", UNDECODABLE)]
        assert find_pictures(odd) == odd
        assert find_pictures([str(tmp_path)]) == sorted(odd)

    def test_links_lead_nowhere_unless_asked_for(self, tmp_path, capsys):
        inside = save_color(tmp_path / "in" / "1.png", RED)
        outside = save_color(tmp_path / "out" / "2.png", RED)
        (tmp_path / "in" / "link.png").symlink_to(outside)
        (tmp_path / "in" / "folder").symlink_to(tmp_path / "out")
        assert find_pictures([str(tmp_path / "in")]) == [inside]
        assert "1 symbolic links in folders were left out, such as" in capsys.readouterr().err
        pattern = str(tmp_path / "in" / "*.png")
        assert find_pictures([pattern]) == [inside, pattern.replace("*", "link")]
        assert capsys.readouterr().err == ""

    def test_nothing_found_says_what_was_looked_for(self, tmp_path):
        (tmp_path / "a.txt").write_text("text")
        with pytest.raises(ValueError, match=r"no photograph in .*files that end in \.bmp, .*\.pn"):
            find_pictures([str(tmp_path)])
        with pytest.raises(ValueError, match=r"from .*files that fit this pattern"):
            find_pictures([str(tmp_path / "*.png")])
        with pytest.raises(ValueError, match="Received: nothing"):
            find_pictures([])

    def test_a_file_under_a_folder(self, tmp_path):
        (tmp_path / "link").symlink_to(tmp_path / "a")
        assert under(str(tmp_path / "a" / "b" / "1.png"), tmp_path / "a")
        assert under(str(tmp_path / "link" / "1.png"), tmp_path / "a")
        assert not under(str(tmp_path / "ab" / "1.png"), tmp_path / "a")


class TestTables:
    def test_json_lines(self, capsys, pictures):
        code, lines, err = json_lines(capsys, *pictures, "--model=m")
        assert (code, err) == (DONE, "")
        assert [line["path"] for line in lines] == pictures
        expected = embed([np.full((1, 1, 3), GREEN, np.uint8)])
        np.testing.assert_allclose(lines[1]["embedding"], expected["embedding"][0])
        assert lines[1]["norm"] == pytest.approx(expected["norm"][0])
        assert "typical" not in lines[1]

    def test_formats_hold_the_same_float32(self, capsys, pictures, tmp_path):
        arguments = ["embed", *pictures, "--model=m"]
        for form in ("npy", "npz"):
            assert main([*arguments, f"--format={form}", f"--out={tmp_path / 'all'}.{form}"]) == 0
        matrix, table = np.load(tmp_path / "all.npy"), np.load(tmp_path / "all.npz")
        assert (matrix.shape, matrix.dtype) == ((3, DIM), np.float32)
        assert np.array_equal(table["embedding"], matrix)
        assert table["path"].tolist() == pictures
        main([*arguments, "--format=jsonl"])
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        main(arguments)
        rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))[1:]
        for number, row in enumerate(matrix):
            assert np.array_equal(np.array(lines[number]["embedding"], np.float32), row)
            assert np.array_equal(np.array(rows[number][2:], np.float32), row)
            assert np.float32(rows[number][1]) == table["norm"][number]

    def test_a_name_that_is_no_text_survives(self, capsys, tmp_path):
        path = save_color(tmp_path / UNDECODABLE, RED)
        _, lines, _ = json_lines(capsys, tmp_path, "--model=m")
        assert lines[0]["path"] == path
        for form in ("csv", "npz"):
            out = tmp_path / f"all.{form}"
            assert main(["embed", path, "--model=m", f"--format={form}", f"--out={out}"]) == DONE
        assert np.load(tmp_path / "all.npz")["path"].tolist() == [path]
        with open(tmp_path / "all.csv", errors="surrogateescape", newline="") as file:
            assert next(csv.DictReader(file))["path"] == path

    def test_views_are_combined_and_their_norms_averaged(self, capsys, tmp_path):
        # A border that --crop cuts off.
        save_color(tmp_path / "1.png", BLUE)
        pixels = np.full((10, 10, 3), GREEN, np.uint8)
        pixels[2:8, 2:8] = RED
        Image.fromarray(pixels).save(tmp_path / "2.png")
        flags = ["--crop=0.6", "--flip=concat", "--scales=1,0.5"]
        _, lines, _ = json_lines(capsys, tmp_path, "--model=m", *flags)
        red = embed([np.full((1, 1, 3), RED, np.uint8)])
        np.testing.assert_allclose(lines[1]["embedding"], np.tile(red["embedding"][0], 4) / 2.0)
        assert lines[1]["norm"] == pytest.approx(red["norm"][0])

    def test_more_pictures_than_a_batch_keep_their_order(self, capsys, tmp_path, broken):
        paths = [save_color(tmp_path / f"{i:03}.png", RED, change=i) for i in range(40)]
        files = [*paths[20:], broken, *paths[:20]]
        code, lines, _ = json_lines(capsys, *files, "--model=m")
        assert code == SOME_UNREADABLE
        assert [line["path"] for line in lines] == files
        assert lines[0]["embedding"] != lines[1]["embedding"]
        assert len({tuple(line.get("embedding", ())) for line in lines}) == 41

    def test_batches_are_cut_by_their_pixels(self, monkeypatch, pictures):
        monkeypatch.setattr(embedded, "_BATCH_BYTES", 100)
        sizes = []
        model = color_model()
        object.__setattr__(
            model, "embed", lambda images: (sizes.append(len(images)), embed(images))[1]
        )
        rows = list(embedded.embed_pictures(pictures, model, embedded.TestTime(), "embed"))
        assert sizes == [2, 1]
        assert [row.path for row in rows] == pictures


class TestTrouble:
    def test_an_unreadable_file_is_told_and_the_others_embedded(
        self, capsys, pictures, broken, tmp_path
    ):
        files = [pictures[0], broken, pictures[1], "missing.jpg"]
        arguments = ["embed", *files, "--model=m"]
        assert main(arguments) == SOME_UNREADABLE
        captured = capsys.readouterr()
        rows = list(csv.DictReader(io.StringIO(captured.out)))
        assert [row["path"] for row in rows] == pictures[:2]
        assert f"{broken} is no usable image" in captured.err
        assert "missing.jpg" in captured.err
        assert "2 of 4 files could not be read" in captured.err

        code, lines, _ = json_lines(capsys, *files, "--model=m")
        assert code == SOME_UNREADABLE
        assert ["error" in line for line in lines] == [False, True, False, True]

        out = tmp_path / "all.npz"
        assert main([*arguments, "--format=npz", f"--out={out}"]) == SOME_UNREADABLE
        assert np.isnan(np.load(out)["embedding"]).all(axis=1).tolist() == [False, True] * 2
        assert np.isnan(np.load(out)["norm"]).tolist() == [False, True] * 2

    def test_nothing_readable(self, capsys, broken, tmp_path):
        assert main(["embed", broken, "--model=m"]) == SOME_UNREADABLE
        assert capsys.readouterr().out == ""
        out = tmp_path / "all.npy"
        flags = ["--format=npy", f"--out={out}"]
        assert main(["embed", broken, "--model=m", *flags]) == SOME_UNREADABLE
        assert np.load(out).shape == (1, 0)

    def test_what_is_unlike_the_crops_of_the_training_is_told(self, capsys, monkeypatch, pictures):
        class RedOnly:
            def is_typical(self, images):
                return np.array([image[..., 0].mean() > 200 for image in images])

        model = color_model(crop_statistics=RedOnly())
        monkeypatch.setattr(model_loading, "load", lambda path: model)
        code, lines, err = json_lines(capsys, *pictures, "missing.png", "--model=m")
        assert code == SOME_UNREADABLE
        assert [line.get("typical") for line in lines] == [True, False, False, None]
        assert "2 of 4 pictures look unlike the face crops that the model was trained on" in err
        assert ", ".join(pictures[1:]) in err
        assert main(["verify", *pictures[:2], "--model=m", "--threshold=1", "--json"]) == 1
        captured = capsys.readouterr()
        assert json.loads(captured.out)["typical"] == [True, False]
        assert "facezoo verify: 1 of 2 pictures look unlike the face crops" in captured.err
        assert pictures[1] in captured.err

    def test_ctrl_c_is_one_line_and_leaves_nothing(self, capsys, monkeypatch, pictures, tmp_path):
        def interrupted(*arguments):
            raise KeyboardInterrupt

        monkeypatch.setattr("facezoo.cli.embedded.read_picture", interrupted)
        out = tmp_path / "all.csv"
        assert main(["embed", *pictures, "--model=m", f"--out={out}"]) == INTERRUPTED
        assert capsys.readouterr().err == "facezoo embed: interrupted.\n"
        assert not list(tmp_path.glob("all*"))

    def test_out_appears_whole_or_not_at_all(self, capsys, pictures, tmp_path, monkeypatch):
        out = tmp_path / "out" / "all.csv"
        out.parent.mkdir()
        out.write_text("old")
        arguments = ["embed", *pictures, "--model=m", f"--out={out}"]
        with monkeypatch.context() as patch:
            patch.setattr("facezoo.cli.embedding_tables._write_csv", lambda rows, file: 1 / 0)
            assert main(arguments) == ERROR
        assert [file.name for file in out.parent.iterdir()] == ["all.csv"]
        assert out.read_text() == "old"
        assert main(arguments) == DONE
        assert len(out.read_text().splitlines()) == 4
        assert [file.name for file in out.parent.iterdir()] == ["all.csv"]

    def test_out_may_be_a_pipe(self, pictures, tmp_path):
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        received = []
        reader = threading.Thread(target=lambda: received.append(pipe.read_text()))
        reader.start()
        assert main(["embed", *pictures, "--model=m", f"--out={pipe}"]) == DONE
        reader.join()
        assert len(received[0].splitlines()) == 4
        assert pipe.is_fifo()

    def test_out_that_cannot_be_written(self, capsys, pictures, tmp_path):
        out = tmp_path / "missing" / "all.csv"
        assert "No such file or directory" in fails(capsys, *pictures, f"--out={out}")

    def test_wrong_use(self, capsys, pictures, tmp_path):
        assert "one photograph, folder or pattern" in fails(capsys, "--model=m")
        assert "needs --out=FILE.npy" in fails(capsys, *pictures, "--format=npy")
        message = fails(capsys, *pictures, "--format=xml")
        assert "value should be one of <csv|jsonl|npy|npz>" in message
        assert "crop must be a share" in fails(capsys, *pictures, "--crop=2")
        assert "There is no photograph in" in fails(capsys, tmp_path / "*.gif")
