"""The gallery's content: enrol, remove, refresh, and what its file refuses."""

import shutil
import sqlite3
from dataclasses import replace

import numpy as np
import pytest

from facezoo.data.test_time import TestTime
from facezoo.gallery import Binding, Calibration, Entry, Gallery, Picture, plan_refresh
from facezoo.gallery.gallery_file import Header, create_file
from tests.gallery_people import BINDING, DIM, entries, entry, unit


@pytest.fixture
def path(tmp_path):
    return tmp_path / "odd name?#%é.gallery"


@pytest.fixture
def gallery(path):
    gallery = Gallery.create(path, BINDING, DIM)
    gallery.enrol([entry("bob", 0), entry("ann", 1), entry("ann", 0)])
    return gallery


class TestEnrol:
    def test_comes_back_by_person_then_digest(self, gallery):
        faces = Gallery(gallery.path).faces()
        assert faces.people == ("ann", "bob")
        assert faces.label.tolist() == [0, 0, 1]
        assert faces.source == ("ann/0.jpg", "ann/1.jpg", "bob/0.jpg")
        expected = [entry(*key).embedding for key in (("ann", 0), ("ann", 1), ("bob", 0))]
        np.testing.assert_array_equal(faces.embedding, expected)
        assert faces.embedding.dtype == np.float32

    def test_same_picture_twice_is_one_entry(self, gallery):
        done = gallery.enrol([entry("ann", 0), entry("ann", 2), entry("ann", 2)])
        assert (done.added, done.known, done.conflicts) == (1, 2, ())
        assert gallery.people() == {"ann": 3, "bob": 1}

    def test_same_picture_of_somebody_else_is_refused_by_name(self, gallery):
        picture = entry("ann", 0).picture._replace(identity="eve")
        done = gallery.enrol([Entry(picture, unit(np.ones(DIM))), entry("cid", 0)])
        assert (done.added, done.known, done.conflicts) == (1, 0, ((picture, "ann"),))
        assert "eve" not in gallery.people()

    def test_counts_generations_of_what_changed(self, gallery):
        assert gallery.header().generation == 1
        gallery.enrol([entry("ann", 0)])
        assert gallery.header().generation == 1
        gallery.remove(["bob"])
        assert (gallery.header().generation, gallery.header().num_pictures) == (2, 2)

    @pytest.mark.parametrize(
        ("embedding", "message"),
        [
            (np.full(DIM, np.nan), "unit length"),
            (np.ones(DIM), "unit length. Received: length 2.82843"),
            (np.eye(DIM + 1)[0], "embeddings of 8 numbers. Received: shape=\\(9,\\) for 'eve/0"),
        ],
    )
    def test_a_bad_embedding_leaves_all_as_it_was(self, gallery, embedding, message):
        with pytest.raises(ValueError, match=message):
            gallery.enrol([entry("cid", 0), entry("eve", 0, embedding)])
        assert list(gallery.people()) == ["ann", "bob"]

    @pytest.mark.parametrize(
        ("identity", "message"),
        [
            ("", "from 1 to 255 characters"),
            ("  ", "not all blank"),
            ("ann\nbob", "one line of printable characters. Received: 'ann\\\\nbob'"),
            ("x" * 10_000, "Received: 10000 characters, 'x{40}\\.\\.'"),
            ("\udce9", "printable"),
        ],
    )
    def test_names_that_no_table_can_show_are_refused(self, identity, message):
        with pytest.raises(ValueError, match=message):
            entry(identity, 0)

    def test_sources_must_be_text(self):
        with pytest.raises(ValueError, match="source must be text that UTF-8 can write"):
            Entry(Picture("ann", "\udce9.jpg", "1"), unit(np.ones(DIM)))
        with pytest.raises(ValueError, match="must have a digest"):
            Entry(Picture("ann", "a.jpg", ""), unit(np.ones(DIM)))


class TestRemove:
    def test_people_and_pictures(self, gallery):
        assert gallery.remove(["bob"], ["ann/1.jpg"]) == 2
        assert [one.source for one in gallery.pictures()] == ["ann/0.jpg"]
        assert gallery.remove(pictures=["digest of ann/0.jpg"]) == 1
        assert len(gallery.faces()) == 0

    def test_nothing_is_removed_where_somebody_is_not_there(self, gallery):
        with pytest.raises(ValueError, match="as 'bop'. Did you mean 'bob'?"):
            gallery.remove(["ann", "bop"])
        with pytest.raises(ValueError, match="holds no picture 'ann/9.jpg'"):
            gallery.remove(["bob"], ["ann/9.jpg"])
        assert gallery.people() == {"ann": 2, "bob": 1}

    def test_what_is_removed_is_not_in_the_file_any_more(self, gallery):
        numbers = entry("bob", 0).embedding.tobytes()
        assert numbers in gallery.path.read_bytes()
        gallery.remove(["bob"])
        content = gallery.path.read_bytes()
        assert numbers not in content
        assert b"bob" not in content


class TestRefresh:
    def refresh(self, gallery, listed):
        enrolled = gallery.pictures(origin="/people")
        there = gallery.find(one.digest for one in listed)
        elsewhere = {key: one for key, one in there.items() if one.origin != "/people"}
        return plan_refresh(listed, enrolled, elsewhere)

    def pictures(self, gallery):
        return gallery.pictures(origin="/people")

    def test_nothing_to_do(self, gallery):
        plan = self.refresh(gallery, self.pictures(gallery))
        assert (plan.added, plan.moved, plan.vanished, plan.unchanged) == ((), (), (), 3)

    def test_new_changed_and_vanished(self, gallery):
        ann, changed, bob = self.pictures(gallery)
        changed = changed._replace(digest="other bytes")
        new = Picture("cid", "cid/0.jpg", "d", "/people")
        plan = self.refresh(gallery, [ann, changed, new])
        assert (plan.added, plan.changed, plan.unchanged) == ((changed, new), 1, 1)
        assert {one.source for one in plan.vanished} == {"ann/1.jpg", bob.source}
        # The new bytes could not be read: the old picture stays.
        assert plan.dropped(failed={"ann/1.jpg"}) == [bob.digest]

    def test_moved_pictures_keep_their_embedding(self, gallery):
        moved = [one._replace(identity="anna") for one in self.pictures(gallery)[:2]]
        plan = self.refresh(gallery, moved)
        assert (plan.added, set(plan.moved)) == ((), set(moved))
        before = gallery.faces().embedding
        gallery.update(plan.moved, plan.dropped(()))
        assert gallery.people() == {"anna": 2}
        np.testing.assert_array_equal(gallery.faces().embedding, before[:2])
        assert gallery.header().num_pictures == 2

    def test_a_copy_does_not_take_the_place_of_what_is_there(self, gallery):
        ann, other, bob = self.pictures(gallery)
        copy = ann._replace(source="ann/a copy.jpg")
        theft = ann._replace(identity="abe", source="abe/0.jpg")
        plan = self.refresh(gallery, [copy, theft, ann, other, bob])
        assert (plan.added, plan.moved, plan.unchanged) == ((), (), 4)
        assert plan.conflicts == ((theft, "ann"),)

    def test_what_is_enrolled_from_elsewhere_stays_there(self, gallery):
        gallery.enrol([entry("cid", 0, origin=""), entry("dan", 0, origin="/more")])
        cid, dan = (
            one.picture._replace(origin="/people") for one in (entry("cid", 0), entry("dan", 0))
        )
        stolen = dan._replace(identity="eve")
        plan = self.refresh(gallery, [*self.pictures(gallery), cid, stolen])
        assert (plan.added, plan.moved, plan.vanished) == ((), (), ())
        assert plan.conflicts == ((stolen, "dan"),)


class TestBinding:
    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"model": "2b6b"}, "another model. Expected: 1a5a. Received: 2b6b"),
            ({"preprocessing": "188e"}, "another preprocessing. Expected: 079d. Received: 188e"),
            ({"view": TestTime(crop=0.6)}, "view. Expected: --crop=1 .*Received: --crop=0.6 --f"),
        ],
    )
    def test_another_one_is_refused_and_both_named(self, gallery, changed, message):
        with pytest.raises(ValueError, match=message):
            Gallery.create(gallery.path, replace(BINDING, **changed), DIM)

    def test_every_view_comes_back(self, path):
        binding = Binding("1", "2", TestTime(0.5, "concat", (1.0, 0.8), "cut"))
        assert Gallery(Gallery.create(path, binding, DIM).path).binding == binding


class TestCalibrations:
    def test_come_back_and_are_replaced(self, gallery):
        one = Calibration(0.1, 0.8, 0.9, 0.08, 100, 120, "nearest", 40, 1)
        gallery.store_calibrations([one, replace(one, target=0.2)])
        gallery.store_calibrations([replace(one, threshold=0.7)])
        assert gallery.calibrations() == (replace(one, threshold=0.7),)
        assert gallery.header().generation == 1


class TestFile:
    def test_is_missing_or_a_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="There is no gallery .*enrol"):
            Gallery(tmp_path / "none")
        with pytest.raises(ValueError, match="A gallery is a file. Received: the folder"):
            Gallery(tmp_path)

    def test_creating_leaves_one_file(self, gallery):
        assert [one.name for one in gallery.path.parent.iterdir()] == [gallery.path.name]

    def test_creating_twice_keeps_the_first(self, gallery):
        Gallery.create(gallery.path, BINDING, DIM)
        assert len(gallery.faces()) == 3

    def test_one_that_another_process_has_made_meanwhile_is_left(self, gallery):
        create_file(gallery.path, Header(BINDING, DIM))
        assert len(gallery.faces()) == 3
        assert [one.name for one in gallery.path.parent.iterdir()] == [gallery.path.name]

    def test_another_format_is_refused_with_what_to_do(self, gallery):
        with sqlite3.connect(gallery.path) as connection:
            connection.execute("PRAGMA user_version = 7")
        with pytest.raises(ValueError, match="of format 7. Expected: format 1. .*enrol its pict"):
            gallery.faces()

    def test_another_database_is_no_gallery(self, path):
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE entry (identity TEXT)")
        with pytest.raises(ValueError, match="is no gallery of faces"):
            Gallery(path)

    def test_cut_off_anywhere_is_found(self, gallery, tmp_path):
        gallery.enrol(entries(20, 2))
        whole, cut = gallery.path.read_bytes(), tmp_path / "cut"
        page = 4096
        near_pages = {place + step for place in range(0, len(whole), page) for step in (-1, 0, 1)}
        for size in sorted(near_pages | {16, 99, 100, 101, 2000}):
            if 0 <= size < len(whole):
                cut.write_bytes(whole[:size])
                with pytest.raises(ValueError, match="no gallery of faces, or is damaged"):
                    Gallery(cut).faces()
                with pytest.raises(ValueError, match="no gallery of faces, or is damaged"):
                    Gallery(cut).enrol([entry("zoe", 0)])

    @pytest.mark.parametrize(
        "damage",
        [
            "UPDATE entry SET embedding = zeroblob(32) WHERE identity = 'bob'",
            "UPDATE entry SET source = 'bob/1.jpg' WHERE identity = 'bob'",
            "DELETE FROM entry WHERE identity = 'bob'",
            "UPDATE header SET content = replace(content, '1a5a', '2b6b')",
            "DELETE FROM header",
        ],
    )
    def test_damage_is_found(self, gallery, damage):
        with sqlite3.connect(gallery.path) as connection:
            assert connection.execute(damage).rowcount == 1
        with pytest.raises(ValueError, match="is damaged"):
            gallery.faces()

    def test_a_lost_row_is_missed_after_a_change_too(self, gallery):
        with sqlite3.connect(gallery.path) as connection:
            connection.execute("DELETE FROM entry WHERE identity = 'bob'")
        gallery.enrol([entry("cid", 0)])
        with pytest.raises(ValueError, match="3 of 4 pictures are there"):
            gallery.faces()

    def test_a_copy_is_a_gallery(self, gallery, tmp_path):
        shutil.copy(gallery.path, tmp_path / "copy")
        assert Gallery(tmp_path / "copy").people() == gallery.people()

    def test_waits_for_a_writer_only_so_long(self, gallery, monkeypatch):
        monkeypatch.setattr("facezoo.gallery.gallery_file._LONGEST_WAIT", 0.0)
        writer = sqlite3.connect(gallery.path, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(OSError, match="kept by another process for 0 seconds"):
            gallery.enrol([entry("cid", 0)])
        # Readers need not wait.
        assert len(gallery.faces()) == 3
        writer.close()
