"""The leak gate: people of the test found in training sets, manifests, and the contact sheet."""

import json
from dataclasses import replace

import numpy as np
import pytest

from facezoo.data.manifest_file import load_manifest, save_manifest
from facezoo.data.near_duplicates import PictureHashes, find_near, hash_picture
from facezoo.data.people_manifest import Picture, Witness, build_manifest, manifest_of
from facezoo.evaluation import contact_sheet
from facezoo.evaluation.contact_sheet import group_couples, suggestion, write_contact_sheet
from facezoo.evaluation.overlap import check_overlap, find_overlap, overlap_table
from facezoo.evaluation.person_distances import nearest_person, nearest_strangers
from tests.test_near_duplicates import brighter, encoded, smaller, textured

_DIM = 16


def face(person, spread=0.0, seed=0):
    """An embedding of a person: people are orthogonal, `spread` moves a picture off."""
    vector = np.eye(_DIM)[person] + spread * np.random.default_rng(seed).normal(size=_DIM)
    return vector / np.linalg.norm(vector)


def people(name, pictures, embeddings=None, witness="a model"):
    """A manifest of (person, picture) with the embeddings given."""
    rows = [
        Picture(f"{person}/{number}.png", person, lambda image=image: encoded(image, "PNG"))
        for number, (person, image) in enumerate(pictures)
    ]
    manifest = manifest_of(name, rows)
    return manifest if embeddings is None else manifest.with_embedding(embeddings, witness)


def strangers(name, first, count, *, seed=0):
    """People p<first> .. with one picture each, faces of their own."""
    pictures = [(f"p{first + i}", textured(1000 * (seed + 1) + first + i)) for i in range(count)]
    return people(name, pictures, [face(first + i, 0.05, seed + i) for i in range(count)])


@pytest.fixture(scope="module")
def train():
    names = ("Ann_Lee", "Bob_Ray", "00007", "00008")
    return people("train", [(name, textured(i)) for i, name in enumerate(names)])


def evidence_of(overlap):
    return [(one.kind, one.train_person, one.test_person) for one in overlap.evidence]


class TestKinds:
    def test_by_name(self, train):
        test = people("test", [("bob ray", textured(50)), ("00007", textured(51))])
        overlap = find_overlap([train], test)
        assert evidence_of(overlap) == [("name", "Bob_Ray", "bob ray")]
        assert overlap.num_compared["name"] == (1, 2)
        assert overlap.people == ("bob ray",)

    def test_by_equal_and_by_near_pictures(self, train):
        pictures = [("x1", textured(2)), ("x1", textured(50)), ("x2", smaller(textured(3)))]
        overlap = find_overlap([train], people("test", pictures))
        assert evidence_of(overlap) == [("exact", "00007", "x1"), ("near", "00008", "x2")]
        exact, near = overlap.evidence
        assert (exact.distance, exact.test_file, exact.train_file) == (
            0.0,
            "x1/0.png",
            "00007/2.png",
        )
        assert 0 <= near.distance <= near.limit == 40
        assert (overlap.images_by("exact"), overlap.images_by("near")) == (1, 1)

    def test_pictures_of_one_couple_are_counted_together(self, train):
        pictures = [("x", smaller(textured(0))), ("x", textured(0)), ("x", textured(0))]
        exact, near = find_overlap([train], people("test", pictures)).evidence
        assert (exact.kind, exact.num_images, near.kind, near.num_images) == ("exact", 2, "near", 1)

    @pytest.mark.parametrize("first", [smaller, brighter])
    def test_the_nearest_picture_of_a_couple_stands_for_it(self, train, first):
        changes = [first, *({smaller, brighter} - {first})]
        hashes = [hash_picture(change(textured(0))) for change in changes]
        bits = find_near(PictureHashes.stack(hashes), train.hashes)[1]
        assert bits[0] != bits[1]
        test = people("test", [("x", change(textured(0))) for change in changes])
        (near,) = find_overlap([train], test).evidence
        assert (near.distance, near.test_file) == (bits.min(), f"x/{bits.argmin()}.png")
        assert near.num_images == 2

    def test_by_face(self):
        test = strangers("test", 0, 6)
        train = strangers("train", 4, 6, seed=1)
        overlap = find_overlap([train], test)
        assert sorted(evidence_of(overlap)) == [("embedding", p, p) for p in ("p4", "p5")]
        for one in overlap.evidence:
            mean = [s.mean_embedding[s.people.index(one.test_person)] for s in (test, train)]
            assert one.distance == pytest.approx(np.sum((mean[0] - mean[1]) ** 2), abs=1e-6)
        assert overlap.num_compared["embedding"] == (6, 6)

    def test_faces_are_limited_by_the_third_nearest_other_person(self):
        # At angles on a circle: the three nearest others of 0 lie at 40, 60 and 90 degrees.
        def at(*degrees):
            angle = np.radians(degrees)
            return np.stack([np.cos(angle), np.sin(angle)], axis=1)

        test = people("test", [(f"p{i}", textured(i)) for i in range(5)], at(0, 40, 60, 90, 180))
        limit = 0.5 * 2.0
        edge = np.degrees(np.arccos(1 - limit / 2))
        for angle, is_found in ((edge - 0.1, True), (edge + 0.1, False)):
            train = people("train", [("q", textured(90))], at(-angle))
            found = find_overlap([train], test).evidence
            assert [one.test_person for one in found] == (["p0"] if is_found else [])

    def test_the_best_two_pictures_of_a_couple(self):
        pictures = [("p0", textured(200 + i)) for i in range(3)]
        train = people("train", pictures, [face(0, 0.4, 1), face(0, 0.4, 2), face(0, 0.4, 3)])
        embeddings = [face(0, 0.4, 2), face(0, 0.4, 9), *(face(i) for i in range(1, 5))]
        names = ["p0", "p0", "p1", "p2", "p3", "p4"]
        test = people("test", [(n, textured(300 + i)) for i, n in enumerate(names)], embeddings)
        (one,) = find_overlap([train], test).evidence
        assert (one.train_file, one.test_file) == ("p0/1.png", "p0/0.png")
        (one,) = find_overlap([train.means_only()], test).evidence
        assert (one.train_file, one.test_file) == ("p0/0.png", "p0/0.png")

    def test_a_given_threshold_is_kept(self):
        test, train = strangers("test", 0, 6), strangers("train", 5, 2, seed=1)
        distance = find_overlap([train], test).evidence[0].distance
        for threshold, count in ((distance, 1), (np.nextafter(distance, 0), 0)):
            overlap = find_overlap([train], test, threshold=threshold)
            assert len(overlap.evidence) == count
        assert "as given" in overlap.rule

    def test_several_training_sets(self, train):
        other = people("other", [("Bob_Ray", textured(60))])
        overlap = find_overlap([train, other], people("test", [("Bob Ray", textured(61))]))
        assert [one.train_set for one in overlap.evidence] == ["train", "other"]
        assert (overlap.num_train_people, overlap.people) == (5, ("Bob Ray",))

    def test_strangers_are_not_found(self):
        overlap = find_overlap([strangers("train", 8, 6)], strangers("test", 0, 6))
        assert overlap.evidence == ()
        assert check_overlap(overlap) is None


class TestRefused:
    def test_no_set_or_two_of_one_name(self, train):
        for sets in ([], [train, train]):
            with pytest.raises(ValueError, match="one training set or more, of different names"):
                find_overlap(sets, train)

    @pytest.mark.parametrize("threshold", [-0.1, 4.1, float("nan")])
    def test_threshold_out_of_range(self, train, threshold):
        with pytest.raises(ValueError, match=r"in \[0, 4\]"):
            find_overlap([train], train, threshold)

    def test_embeddings_of_two_models(self):
        train, test = strangers("train", 0, 6), strangers("test", 0, 6)
        with pytest.raises(ValueError, match="embedded by one model.*a model and another"):
            find_overlap([train], replace(test, witness="another"))

    def test_too_few_people_for_limits(self):
        train = strangers("train", 0, 3)
        with pytest.raises(ValueError, match="more than 3 people.*Received: 3.*Give a threshold"):
            find_overlap([train], strangers("test", 3, 3))
        assert find_overlap([train], strangers("test", 3, 3), threshold=0.5).people == ()

    def test_a_side_without_embeddings_is_compared_by_the_rest(self, train):
        overlap = find_overlap([train], strangers("test", 0, 6))
        assert overlap.num_compared["embedding"] == (0, 0)
        assert overlap.rule is None

    @pytest.mark.parametrize(
        ("embedding", "words"),
        [(np.ones((2, 4)), "a row for every picture"), (np.full((4, 4), np.nan), "in 4 of 4 rows")],
    )
    def test_embeddings_that_do_not_fit(self, train, embedding, words):
        with pytest.raises(ValueError, match=words):
            train.with_embedding(embedding, "a model")


@pytest.fixture(scope="module")
def overlap():
    names = [f"Ann {chr(65 + i)}nders" for i in range(12)]
    sets = [
        people(s, [(n, textured(k + i)) for i, n in enumerate(names)])
        for s, k in (("train", 0), ("test", 500))
    ]
    return find_overlap(sets[:1], sets[1])


class TestGate:
    def test_refuses_and_names_the_first(self, overlap):
        with pytest.raises(ValueError, match="12 of 12 people.*12 by name.*Ann Anders.*and 2 more"):
            check_overlap(overlap)
        with pytest.raises(ValueError, match="--allow_overlap"):
            check_overlap(overlap)

    def test_stamps_if_allowed(self, overlap):
        stamp = check_overlap(overlap, allow=True)
        assert stamp["num_people"] == 12
        assert "12 by name" in stamp["reason"]

    def test_the_table_is_flat_and_adds_up(self, overlap):
        table = overlap_table(overlap)
        assert json.loads(json.dumps(table)) == table
        assert not any(isinstance(value, dict | list) for value in table.values())
        assert (table["num_people_in_training"], table["num_people_by_name"]) == (12, 12)
        assert table["num_train_people_compared_by_name"] == 12
        assert table["num_images_by_exact"] == 0


class TestPersonDistances:
    def test_equal_all_pairs(self):
        random = np.random.default_rng(0)
        vectors = random.normal(size=(23, 5)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        probe, gallery = vectors[:9], vectors[9:]
        pairs = np.sum((probe[:, None] - gallery) ** 2, axis=2)
        distance, index = nearest_person(probe, gallery)
        np.testing.assert_array_equal(index, pairs.argmin(axis=1))
        np.testing.assert_allclose(distance, pairs.min(axis=1), atol=1e-6)
        own = np.sum((vectors[:, None] - vectors) ** 2, axis=2)
        others = np.sort(own + 9 * np.eye(23), axis=1)[:, :4]
        np.testing.assert_allclose(nearest_strangers(vectors, 4), others, atol=1e-6)

    def test_somebody_whose_mean_is_zero_is_near_nobody(self):
        vectors = np.eye(4, dtype=np.float32)[[0, 0, 1, 2]]
        vectors[3] = 0.0
        distance, index = nearest_person(vectors[2:], vectors[:2])
        assert distance.tolist() == [2.0, 2.0]
        distance, index = nearest_person(vectors[:1], vectors[::-1])
        assert (distance.tolist(), index.tolist()) == ([0.0], [2])
        assert nearest_strangers(vectors, 2).tolist() == [[0, 2], [0, 2], [2, 2], [2, 2]]

    def test_equal_people_do_not_lose_each_other(self):
        vectors = np.eye(3, dtype=np.float32)[[0, 0, 0, 1]]
        assert nearest_strangers(vectors, 1)[:, 0].tolist() == [0.0, 0.0, 0.0, 2.0]
        assert nearest_person(np.zeros((2, 3), np.float32), vectors)[0].tolist() == [2.0, 2.0]


class TestManifest:
    def test_reads_a_folder_and_refuses_what_is_no_picture(self, tmp_path):
        for person in ("p0", "p1"):
            (tmp_path / person).mkdir()
            (tmp_path / person / "a.png").write_bytes(encoded(textured(len(person)), "PNG"))
        (tmp_path / "p1" / "b.jpg").write_bytes(b"no picture")
        (tmp_path / "p1" / "notes.txt").write_text("no picture")
        batches = []

        def embed(images):
            batches.append([image.shape for image in images])
            embedding = np.tile(face(0), (len(images), 1))
            return {"embedding": embedding, "norm": np.arange(1.0, 1.0 + len(images))}

        manifest = build_manifest(str(tmp_path), Witness("w", embed), name="folder")
        assert (manifest.name, manifest.people) == ("folder", ("p0", "p1"))
        assert manifest.file == ("p0/a.png", "p1/a.png")
        assert manifest.person.tolist() == [0, 1]
        assert sorted(one.key for one in manifest.refusals) == ["p1/b.jpg", "p1/notes.txt"]
        assert batches == [[(96, 96, 3), (96, 96, 3)]]
        assert manifest.witness == "w"
        assert manifest.norm.tolist() == [1.0, 2.0]
        save_manifest(manifest, tmp_path / "m.npz")
        assert load_manifest(tmp_path / "m.npz").norm.tolist() == [1.0, 2.0]

    def test_the_mean_embedding_has_unit_length_and_opposites_none(self):
        rows = [("a", textured(0)), ("b", textured(1)), ("a", textured(2)), ("b", textured(3))]
        manifest = people("s", rows, np.array([[2, 0], [1, 0], [0, 1], [-1, 0]], np.float32))
        np.testing.assert_allclose(manifest.mean_embedding, [[0.5**0.5] * 2, [0, 0]], atol=1e-6)

    def test_no_picture_at_all(self):
        with pytest.raises(ValueError, match="of which none can.*'a.png': zero bytes"):
            manifest_of("empty", [Picture("a.png", "a", lambda: b"")])

    def test_comes_back_from_its_file(self, tmp_path):
        manifest = strangers("s\N{SNOWMAN}", 0, 5)
        for one in (manifest, manifest.means_only(), people("x", [("p", textured(0))])):
            save_manifest(one, tmp_path / "m.npz")
            loaded = load_manifest(tmp_path / "m.npz")
            for name in ("name", "people", "file", "refusals", "witness"):
                assert getattr(loaded, name) == getattr(one, name)
            for name in ("person", "mean_embedding", "embedding"):
                np.testing.assert_array_equal(getattr(loaded, name), getattr(one, name))
            for name in PictureHashes.__dataclass_fields__:
                column = getattr(loaded.hashes, name)
                np.testing.assert_array_equal(column, getattr(one.hashes, name))
            assert find_overlap([one], loaded, threshold=0.1).images_by("exact") == len(one.file)

    def test_equal_manifests_are_equal_bytes(self, tmp_path):
        for name in ("a", "b"):
            save_manifest(strangers("s", 0, 3), tmp_path / f"{name}.npz")
        assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]

    def test_damage_is_an_error(self, tmp_path):
        path = tmp_path / "m.npz"
        save_manifest(strangers("s", 0, 5), path)
        whole = path.read_bytes()
        cases = [whole[: len(whole) // 2], whole[:-1], b"", b"no archive", whole[:100]]
        for place in range(40, len(whole) - 40, len(whole) // 40):
            cases.append(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        expected = load_manifest(path)
        for case in cases:
            path.write_bytes(case)
            try:
                found = load_manifest(path)
            except ValueError as error:
                assert "is no usable manifest" in str(error)
            else:
                # A byte that says nothing, such as a date in the archive.
                assert (found.people, found.file) == (expected.people, expected.file)
                np.testing.assert_array_equal(found.embedding, expected.embedding)

    def test_foreign_and_newer_files(self, tmp_path):
        path = tmp_path / "m.npz"
        for header in ({"format": 99}, {}, [], 3):
            np.savez(path, header=np.array(json.dumps(header)))
            with pytest.raises(ValueError, match="its format is .*expected 1"):
                load_manifest(path)
        np.savez(path, header=np.array([object()], dtype=object))
        with pytest.raises(ValueError, match="is no usable manifest"):
            load_manifest(path)
        with pytest.raises(ValueError, match=r"must end in \.npz"):
            save_manifest(strangers("s", 0, 2), tmp_path / "m.json")


@pytest.fixture(scope="module")
def found():
    """A couple by name and face, one by face near its limit, and one by picture."""
    names = ["Ann <script>alert(1)</script> Lee", "p1", "p2", "p3", "p4"]
    embeddings = [face(0), face(1), *(face(i) for i in (2, 3, 4))]
    test = people("te&st", [(n, textured(i)) for i, n in enumerate(names)], embeddings)
    near_limit = 0.55 * face(1) + (1 - 0.55**2) ** 0.5 * face(9)
    train = people(
        "train",
        [(names[0], textured(100)), ("q1", textured(101)), ("q2", textured(2))],
        [face(0, 0.02), near_limit, face(12)],
    )
    return find_overlap([train], test), [train], test


class TestContactSheet:
    def test_couples_come_surest_first_with_a_suggestion(self, found):
        couples = group_couples(found[0])
        assert [[one.kind for one in couple] for couple in couples] == [
            ["exact"],
            ["name", "embedding"],
            ["embedding"],
        ]
        assert [suggestion(couple) for couple in couples] == [
            "The same picture.",
            "One name, and like faces.",
            "Perhaps one person: look closely.",
        ]
        face_only = couples[1][1:]
        assert suggestion(face_only) == "Very likely one person."
        assert suggestion(couples[1][:1]) == "One name. Namesakes?"

    def test_a_page_that_needs_nothing_else(self, found, tmp_path):
        asked = []

        def read(dataset, file):
            asked.append((dataset, file))
            return None if file == "q1/1.png" else encoded(textured(1), "PNG")

        write_contact_sheet(tmp_path / "page.html", *found, read)
        page = (tmp_path / "page.html").read_text("utf-8")
        assert "<script" not in page
        assert "Ann &lt;script&gt;" in page
        assert "te&amp;st" in page
        assert page.count('src="data:image/jpeg;base64,') == 5
        assert page.count("not at hand") == 1
        assert "http" not in page
        assert asked[:2] == [("te&st", "p2/2.png"), ("train", "q2/2.png")]

    def test_says_how_many_are_not_shown(self, found, tmp_path, monkeypatch):
        monkeypatch.setattr(contact_sheet, "MAX_COUPLES", 1)
        write_contact_sheet(tmp_path / "page.html", *found, lambda *_: None)
        page = (tmp_path / "page.html").read_text("utf-8")
        assert page.count("<li>") == 1
        assert "the first 1; overlap.csv lists all" in page
