"""`python -m facezoo cluster`: groups, what is written, links, and what is never replaced."""

import csv
import json
import os
import re

import numpy as np
import pytest

from facezoo.cli import cluster_page, model_loading
from facezoo.cli.main import main
from tests.color_model import BLUE, GREEN, RED, color_model, save_color

DONE, SOME_UNREADABLE, ERROR, INTERRUPTED = 0, 1, 2, 130
POINTS = {
    "chosen_on": "some pairs",
    "default": "accuracy",
    "operating_points": [
        {"name": "accuracy", "threshold": 3.9},
        {"name": "far_1e-3", "threshold": 0.1},
        {"name": "far_1e-2", "threshold": 3.5},
    ],
}
FLAGS = ["--model=m", "--threshold=0.1"]


@pytest.fixture(autouse=True)
def _color_model(monkeypatch):
    monkeypatch.setattr(model_loading, "load", lambda path: color_model())


@pytest.fixture
def photos(tmp_path):
    """Two greens, three reds of which two have one file name, and one blue."""
    folder = tmp_path / "photos"
    for name, color, change in (
        ("a/1.png", GREEN, 0),
        ("a/2.png", RED, 0),
        ("b/1.png", RED, 20),
        ("b/2.png", RED, 36),
        ("b/3.png", GREEN, 10),
        ("c.png", BLUE, 0),
    ):
        save_color(folder / name, color, change)
    return folder


def cluster(capsys, *arguments):
    """Returns the exit code, the report and what went to stderr."""
    code = main(["cluster", "--json", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, json.loads(captured.out), captured.err


def fails(capsys, *arguments):
    assert main(["cluster", *map(str, arguments)]) == ERROR
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return captured.err


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


class TestGroups:
    def test_the_largest_come_first_and_the_most_typical_in_each(self, capsys, photos):
        code, report, err = cluster(capsys, photos, *FLAGS)
        assert (code, err) == (DONE, "")
        red, green, blue = report["clusters"]
        assert [one["name"] for one in report["clusters"]] == [f"person-000{i}" for i in (1, 2, 3)]
        assert [one["path"] for one in red["members"]] == [
            str(photos / name) for name in ("b/1.png", "b/2.png", "a/2.png")
        ]
        assert [one["path"] for one in green["members"]] == [
            str(photos / name) for name in ("a/1.png", "b/3.png")
        ]
        assert [one["path"] for one in blue["members"]] == [str(photos / "c.png")]
        assert report["num_pictures"] == 6
        assert report["unreadable"] == report["untypical"] == []
        assert report["threshold"]["source"] == "given by --threshold"

    def test_distances_are_means_of_pairs(self, capsys, photos):
        _, report, _ = cluster(capsys, photos, *FLAGS)
        red, green, blue = report["clusters"]
        colors = {}
        for line in embedded(capsys, photos):
            colors[line["path"]] = np.array(line["embedding"])

        def distance(one, other):
            return np.sum((colors[one["path"]] - colors[other["path"]]) ** 2)

        first, second, third = red["members"]
        pairs = distance(first, second), distance(first, third), distance(second, third)
        assert red["inside"] == pytest.approx(np.mean(pairs), rel=1e-4)
        assert first["distance"] == pytest.approx(np.mean(pairs[:2]), rel=1e-4)
        assert (blue["inside"], blue["members"][0]["distance"]) == (None, None)
        assert blue["nearest"] in (red["name"], green["name"])
        between = [distance(one, other) for one in red["members"] for other in green["members"]]
        assert red["nearest"] == green["name"]
        assert red["nearest_distance"] == pytest.approx(np.mean(between), rel=1e-4)

    def test_the_strictest_stored_threshold_is_the_default(self, capsys, monkeypatch, photos):
        monkeypatch.setattr(model_loading, "load", lambda path: color_model(POINTS))
        _, report, _ = cluster(capsys, photos, "--model=m")
        assert report["threshold"] == {
            "value": 0.1,
            "operating_point": "far_1e-3",
            "source": "some pairs",
        }
        assert len(report["clusters"]) == 3
        _, report, _ = cluster(capsys, photos, "--model=m", "--far=1e-2")
        assert report["threshold"]["operating_point"] == "far_1e-2"
        assert len(report["clusters"]) == 1
        assert report["clusters"][0]["nearest"] is None

    def test_the_linkage_is_heeded(self, capsys, photos):
        for threshold, expected in ((0.08, [4, 3, 3]), (0.05, [4, 4, 3])):
            flags = ["--model=m", f"--threshold={threshold}"]
            found = [
                len(cluster(capsys, photos, *flags, f"--linkage={name}")[1]["clusters"])
                for name in ("complete", "average", "single")
            ]
            assert found == expected

    def test_words(self, capsys, photos):
        assert main(["cluster", str(photos), *FLAGS]) == DONE
        out = capsys.readouterr().out
        assert "6 photographs: 2 groups of two or more, 1 alone" in out
        assert "threshold 0.1  (given by --threshold), average linkage" in out
        assert re.search(r"person-0001  3 photographs, mean distance 0.\d{3}, to person-000", out)
        assert out.endswith(f"alone\n  {photos / 'c.png'}\n")


class TestFolder:
    def test_table_page_and_account(self, capsys, photos, tmp_path):
        (photos / "broken.jpg").write_text("no picture")
        out = tmp_path / "out" / "here"
        code, report, err = cluster(capsys, photos, *FLAGS, f"--out={out}")
        assert code == SOME_UNREADABLE
        assert "broken.jpg is no usable image" in err
        assert "1 of 7 files could not be read" in err
        assert tree(out) == ["clusters.csv", "clusters.json", "report.html"]
        assert json.loads((out / "clusters.json").read_text()) == {**report, "linked": []}
        with open(out / "clusters.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["cluster"] for row in rows] == [
            *["person-0001"] * 3,
            *["person-0002"] * 2,
            "person-0003",
            "",
        ]
        assert [row["path"] for row in rows[:6]] == [
            one["path"] for group in report["clusters"] for one in group["members"]
        ]
        assert rows[-1]["path"] == str(photos / "broken.jpg")
        assert "not an image" in rows[-1]["error"]

    def test_the_page_shows_pictures_and_needs_nothing_else(self, capsys, photos, tmp_path):
        cluster(capsys, photos, *FLAGS, f"--out={tmp_path / 'out'}")
        page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
        assert page.count("<img ") == page.count('src="data:image/jpeg;base64,') == 6
        assert not re.search(r'(src|href)="(?!data:)', page)
        assert page.index("person-0001") < page.index("person-0002") < page.index("Alone")

    def test_a_large_page_is_cut_and_says_so(self, capsys, photos, tmp_path, monkeypatch):
        for name, value in (("MAX_GROUPS", 1), ("MAX_MEMBERS", 2), ("_ODDEST", 1)):
            monkeypatch.setattr(cluster_page, name, value)
        cluster(capsys, photos, *FLAGS, f"--out={tmp_path / 'out'}")
        page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
        assert "Here are the 1 largest" in page
        assert re.search(r"here the\s+1 most typical and the 1 oddest", page)
        assert str(photos / "b/1.png") in page
        assert str(photos / "a/2.png") in page
        assert str(photos / "b/2.png") not in page

    def test_a_name_of_a_stranger_is_text(self, capsys, tmp_path):
        odd = save_color(tmp_path / "in" / os.fsdecode(b"<b>\n\xff.png"), RED)
        out = tmp_path / "out"
        flags = [*FLAGS, f"--out={out}", "--links=symlink"]
        code, report, _ = cluster(capsys, tmp_path / "in", *flags)
        assert (code, report["clusters"][0]["members"][0]["path"]) == (DONE, odd)
        assert "<b>" not in (out / "report.html").read_text(encoding="utf-8")
        assert len(tree(out / "links")) == 1
        with open(out / "clusters.csv", errors="surrogateescape", newline="") as file:
            assert next(csv.DictReader(file))["path"] == odd
        assert cluster(capsys, tmp_path / "in", *flags)[0] == DONE

    def test_equal_input_gives_equal_bytes(self, capsys, photos, tmp_path):
        for name in ("one", "two"):
            cluster(capsys, photos, *FLAGS, f"--out={tmp_path / name}")
        for file in ("clusters.csv", "clusters.json", "report.html"):
            assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


class TestLinks:
    def test_symbolic_links_are_relative_and_lead_home(self, capsys, photos, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        before = {path: path.stat().st_mtime_ns for path in photos.rglob("*")}
        cluster(capsys, "photos", *FLAGS, "--out=out", "--links=symlink")
        assert tree(tmp_path / "out" / "links") == [
            *("alone/c.png", "person-0001/1.png", "person-0001/2-2.png", "person-0001/2.png"),
            *("person-0002/1.png", "person-0002/3.png"),
        ]
        links = [path for path in (tmp_path / "out" / "links").rglob("*") if path.is_symlink()]
        assert not any(os.path.isabs(os.readlink(path)) for path in links)
        homes = {path.resolve() for path in links}
        assert homes == set(photos.rglob("*.png"))
        os.rename(tmp_path, moved := tmp_path.with_name("moved"))
        assert (moved / "out/links/person-0001/1.png").read_bytes()
        os.rename(moved, tmp_path)
        assert {path: path.stat().st_mtime_ns for path in photos.rglob("*")} == before

    @pytest.mark.parametrize("kind", ["hardlink", "copy"])
    def test_other_kinds_are_files_and_are_not_grouped_again(self, capsys, photos, tmp_path, kind):
        out = photos / "out"
        flags = [photos, *FLAGS, f"--out={out}", f"--links={kind}"]
        first = cluster(capsys, *flags)
        assert cluster(capsys, *flags) == first
        found = out / "links" / "person-0001" / "1.png"
        assert found.read_bytes() == (photos / "b/1.png").read_bytes()
        assert found.samefile(photos / "b/1.png") == (kind == "hardlink")
        assert sorted(os.listdir(photos)) == ["a", "b", "c.png", "out"]

    def test_a_link_through_a_linked_folder_leads_home(self, capsys, photos, tmp_path):
        deep = tmp_path / "far" / "away"
        deep.mkdir(parents=True)
        (tmp_path / "near").symlink_to(deep)
        flags = [photos, *FLAGS, f"--out={tmp_path / 'near' / 'out'}", "--links=symlink"]
        cluster(capsys, *flags)
        link = tmp_path / "near" / "out" / "links" / "alone" / "c.png"
        assert link.samefile(photos / "c.png")


class TestNothingIsLost:
    def test_an_earlier_result_is_replaced_whole(self, capsys, photos, tmp_path):
        out = tmp_path / "out"
        cluster(capsys, photos, *FLAGS, f"--out={out}", "--links=symlink")
        cluster(capsys, photos, "--model=m", "--threshold=4", f"--out={out}")
        assert tree(out) == ["clusters.csv", "clusters.json", "report.html"]
        assert sorted(os.listdir(tmp_path)) == ["out", "photos"]
        assert len(json.loads((out / "clusters.json").read_text())["clusters"]) == 1

    @pytest.mark.parametrize("place", ["notes.txt", "links/person-0001/mine.png", "links/Anna/x"])
    def test_what_a_person_put_there_is_not(self, capsys, photos, tmp_path, place):
        out = tmp_path / "out"
        flags = [photos, *FLAGS, f"--out={out}", "--links=symlink"]
        cluster(capsys, *flags)
        (out / place).parent.mkdir(exist_ok=True)
        (out / place).write_text("mine")
        before = tree(out)
        message = fails(capsys, *flags)
        assert f"an earlier `cluster` did not write, such as {place!r}" in message
        assert tree(out) == before

    def test_a_renamed_person_is_not(self, capsys, photos, tmp_path):
        out = tmp_path / "out"
        flags = [photos, *FLAGS, f"--out={out}", "--links=symlink"]
        cluster(capsys, *flags)
        os.rename(out / "links" / "person-0002", out / "links" / "Anna")
        assert "links/Anna/1.png" in fails(capsys, *flags)

    def test_a_folder_of_photographs_or_a_file_is_not(self, capsys, photos, tmp_path):
        assert "'a/1.png'" in fails(capsys, photos, *FLAGS, f"--out={photos}")
        (tmp_path / "file").write_text("")
        assert "must be a folder" in fails(capsys, photos, *FLAGS, f"--out={tmp_path / 'file'}")
        (tmp_path / "empty").mkdir()
        assert cluster(capsys, photos, *FLAGS, f"--out={tmp_path / 'empty'}")[0] == DONE

    @pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("disk full")])
    def test_a_run_that_is_cut_off_leaves_what_was_there(
        self, capsys, photos, tmp_path, monkeypatch, error
    ):
        def cut_off(*arguments):
            raise error

        out = tmp_path / "out"
        cluster(capsys, photos, *FLAGS, f"--out={out}")
        before = (out / "clusters.csv").read_bytes()
        monkeypatch.setattr("facezoo.cli.cluster_files.write_cluster_page", cut_off)
        code = main(["cluster", str(photos), "--model=m", "--threshold=4", f"--out={out}"])
        assert code == (INTERRUPTED if error is KeyboardInterrupt else ERROR)
        assert (out / "clusters.csv").read_bytes() == before
        assert sorted(os.listdir(tmp_path)) == ["out", "photos"]


def test_what_is_unlike_the_training_is_told(capsys, photos, monkeypatch):
    class NoBlue:
        def is_typical(self, images):
            return np.array([image[..., 2].mean() < 200 for image in images])

    model = color_model(crop_statistics=NoBlue())
    monkeypatch.setattr(model_loading, "load", lambda path: model)
    code, report, err = cluster(capsys, photos, *FLAGS)
    assert (code, report["untypical"]) == (DONE, [str(photos / "c.png")])
    assert "facezoo cluster: 1 of 6 pictures look unlike the face crops" in err


def test_wrong_use(capsys, photos, tmp_path):
    assert "one folder, photograph or pattern" in fails(capsys, *FLAGS)
    assert "No measured threshold is stored" in fails(capsys, photos, "--model=m")
    assert "not both" in fails(capsys, photos, *FLAGS, "--far=1e-3")
    assert "in [0, 4]" in fails(capsys, photos, "--model=m", "--threshold=5")
    assert "--links=copy needs --out=DIR" in fails(capsys, photos, *FLAGS, "--links=copy")
    assert "average|complete|single" in fails(capsys, photos, *FLAGS, "--linkage=ward")
    (tmp_path / "broken.png").write_text("no picture")
    message = fails(capsys, tmp_path / "broken.png", *FLAGS)
    assert "None of 1 files could be read" in message


def embedded(capsys, photos):
    assert main(["embed", "--json", str(photos), "--model=m"]) == DONE
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]
