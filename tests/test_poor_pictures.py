"""Poor and telling pictures: low norms, hard examples, and duplicates of a picture."""

import json
from dataclasses import replace

import numpy as np
import pytest

from facezoo.curation import (
    DROP,
    KEEP,
    DuplicatePictures,
    Faces,
    HardExamples,
    LowNorms,
    Person,
    find_duplicate_pictures,
    find_low_norms,
    norm_order,
    select_hard_examples,
)
from facezoo.curation import hard_examples as hard
from facezoo.curation.hard_examples import cosine_losses
from facezoo.data import near_duplicates
from facezoo.data.near_duplicates import CONFIRM_BITS, SCREEN_BITS, PictureHashes, near_pairs
from facezoo.mining.ohem import select_hard
from tests.test_near_duplicates import brighter, hashes_of, random_hashes, smaller, textured

_DIM = 16
_HASHES_ALONE = DuplicatePictures(max_cosine=None)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def faces_of(label, embedding, norm=None, images=None):
    label = np.asarray(label)
    people = tuple(Person("set", f"p{row}") for row in range(label.max() + 1))
    norm = np.arange(10.0, 10.0 + len(label)) if norm is None else norm
    files = tuple(f"{row}.jpg" for row in range(len(label)))
    hashes = None if images is None else hashes_of(*images)
    return Faces(people, label, files, embedding, norm, hashes)


def made_up(counts, spread=1.0, seed=0, norm=None):
    random = np.random.default_rng(seed)
    label = np.repeat(np.arange(len(counts)), counts)
    centers = unit(random.normal(size=(len(counts), _DIM)))
    apart = unit(random.normal(size=(len(label), _DIM)))
    return faces_of(label, unit(centers[label] + spread * apart), norm)


class TestLowNorms:
    def test_strictly_below_a_threshold(self):
        faces = made_up([2, 3], norm=[5.0, 4.99, 26.0, 2.43, 9.0])
        found = find_low_norms(faces, LowNorms(threshold=5.0))
        assert [one.subject.file for one in found] == ["1.jpg", "3.jpg"]
        assert {(one.rule, one.action) for one in found} == {("low_norm", KEEP)}
        assert found[1].evidence == {"norm": 2.43, "threshold": 5.0, "percentile": 0.0}
        assert found[1].score == pytest.approx(1 - 2.43 / 5, abs=1e-5)

    def test_a_share_of_all_or_of_each_person(self):
        norm = [*range(1, 11), *range(101, 111)]
        faces = made_up([10, 10], norm=norm)
        found = find_low_norms(faces, LowNorms(percentile=25.0, action=DROP))
        assert [one.subject.file for one in found] == [f"{row}.jpg" for row in range(4)]
        assert {one.action for one in found} == {DROP}
        found = find_low_norms(faces, LowNorms(percentile=25.0, per_identity=True))
        assert [one.subject.file for one in found] == ["0.jpg", "1.jpg", "10.jpg", "11.jpg"]
        for count, num_found in ((2, 0), (3, 1)):
            few = made_up([count], norm=range(1, count + 1))
            found = find_low_norms(few, LowNorms(percentile=25.0, per_identity=True))
            assert len(found) == num_found
        few = made_up([2, 1, 30], norm=range(1, 34))
        assert find_low_norms(few, LowNorms(percentile=1.0, per_identity=True)) == []

    def test_norms_that_say_nothing_are_refused(self):
        for norm in (np.ones(4), 1 + 1e-4 * np.arange(4), np.full(4, 7.0), np.zeros(4)):
            faces = made_up([2, 2], norm=norm)
            for call in (find_low_norms, lambda faces: norm_order(faces, 2)):
                with pytest.raises(ValueError, match="before they are normalised.*4 norms, all"):
                    call(faces)
            assert find_low_norms(faces, LowNorms(percentile=0.0)) == []
        assert find_low_norms(made_up([1], norm=[1.0])) == []

    def test_the_sheet_of_lowest_and_highest(self):
        faces = made_up([3, 3], norm=[3, 1, 2, 100, 300, 40])
        assert [rows.tolist() for rows in norm_order(faces, 2)] == [[1, 2], [4, 3]]
        per_identity = norm_order(faces, 2, per_identity=True)
        assert [rows.tolist() for rows in per_identity] == [[5, 1], [4, 0]]
        assert len(norm_order(faces, 99).lowest) == 6
        with pytest.raises(ValueError, match="count must be at least 1"):
            norm_order(faces, 0)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"threshold": 0.0}, "threshold must be above 0"),
            ({"threshold": float("nan")}, "threshold must be above 0"),
            ({"percentile": 100.0}, "percentile must be in"),
            ({"percentile": -1.0}, "percentile must be in"),
            ({"threshold": 5.0, "per_identity": True}, "same for everybody"),
            ({"action": "merge"}, "action must be 'keep' or 'drop'"),
        ],
    )
    def test_options_out_of_range(self, options, words):
        with pytest.raises(ValueError, match=words):
            LowNorms(**options)


class TestHardExamples:
    def test_losses_by_hand(self, monkeypatch):
        faces = made_up([3, 4, 5])
        for logits in (2**22, 4):
            monkeypatch.setattr(hard, "_LOGITS", logits)
            loss = cosine_losses(faces, 16.0)
            for row in range(12):
                cosine = []
                for person in range(3):
                    members = np.flatnonzero(faces.label == person)
                    mean = unit(faces.embedding[members[members != row]].sum(axis=0))
                    cosine.append(16.0 * float(mean @ faces.embedding[row]))
                expected = np.log(np.exp(cosine).sum()) - cosine[faces.label[row]]
                assert loss[row] == pytest.approx(expected, abs=1e-3)

    def test_losses_by_a_head_of_several_centers(self):
        eye = np.eye(_DIM, dtype=np.float32)
        faces = faces_of([0, 1], eye[[1, 0]])
        centers = np.stack([eye[[0, 1]], eye[[2, 3]]])
        loss = cosine_losses(faces, 2.0, centers)
        small = np.log1p(np.exp(-2.0))
        np.testing.assert_allclose(loss, [small, 2 + small], rtol=1e-5)
        by_margin = select_hard_examples(faces, HardExamples("margin", 2), centers=centers)
        assert (by_margin.rows.tolist(), by_margin.value.tolist()) == ([1, 0], [-1.0, 1.0])

    @pytest.mark.parametrize("max_similarity", [0.55, 0.8, 1.0])
    @pytest.mark.parametrize("noisy_fraction", [0.0, 0.1])
    @pytest.mark.parametrize("block", [3, 512])
    def test_equals_online_mining(self, max_similarity, noisy_fraction, block, monkeypatch):
        monkeypatch.setattr(hard, "_CANDIDATES", block)
        faces = made_up([6] * 5, spread=0.8)
        options = HardExamples(
            count=9, max_similarity=max_similarity, noisy_fraction=noisy_fraction
        )
        found = select_hard_examples(faces, options)
        loss = cosine_losses(faces, options.scale)
        similarity = faces.embedding @ faces.embedding.T
        index, is_chosen = select_hard(loss, 9, similarity, max_similarity, noisy_fraction)
        assert found.rows.tolist() == index.numpy()[is_chosen.numpy()].tolist()
        np.testing.assert_array_equal(found.value, loss[found.rows])
        assert len(found.rows) == 9 or max_similarity == 0.55

    def test_frames_of_one_scene_do_not_fill_the_set(self):
        faces = made_up([6] * 5)
        hardest = int(select_hard_examples(faces, HardExamples(count=1)).rows[0])
        embedding = faces.embedding.copy()
        twin = hardest + 1 if hardest % 6 < 5 else hardest - 1
        embedding[twin] = embedding[hardest]
        faces = replace(faces, embedding=embedding)
        for limit, count in ((0.95, 1), (1.0, 2)):
            options = HardExamples(count=20, max_similarity=limit, noisy_fraction=0.0)
            rows = set(select_hard_examples(faces, options).rows.tolist())
            assert len(rows & {hardest, twin}) == count

    def test_doubtful_pictures_and_single_ones_are_no_candidates(self):
        faces = made_up([1, *[6] * 5])
        every = HardExamples(fraction=1.0, noisy_fraction=0.0, max_similarity=1.0)
        order = select_hard_examples(faces, every).rows
        assert sorted(order.tolist()) == list(range(1, 31))
        excluded = np.zeros(31, bool)
        excluded[order[:3]] = True
        left = select_hard_examples(faces, every, excluded).rows
        assert left.tolist() == order[3:].tolist()
        assert select_hard_examples(faces, every, np.ones(31, bool)).rows.tolist() == []

    def test_by_margin_and_by_norm(self):
        faces = made_up([4] * 4)
        options = HardExamples("margin", 16, max_similarity=1.0, noisy_fraction=0.0)
        margin = select_hard_examples(faces, options).value
        assert (np.diff(margin) >= 0).all()
        by_norm = select_hard_examples(faces, HardExamples("norm", 3, noisy_fraction=0.0))
        assert (by_norm.rows.tolist(), by_norm.value.tolist()) == ([0, 1, 2], [10, 11, 12])
        with pytest.raises(ValueError, match="before they are normalised"):
            select_hard_examples(replace(faces, norm=np.ones(16)), HardExamples("norm"))

    def test_a_fraction_counts_the_candidates(self):
        faces = made_up([10] * 5)
        sizes = {
            fraction: len(select_hard_examples(faces, HardExamples(fraction=fraction)).rows)
            for fraction in (0.001, 0.1, 0.3)
        }
        assert sizes == {0.001: 1, 0.1: 5, 0.3: 15}

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"by": "size"}, "by must be one of loss, margin, norm. Received: by='size'"),
            ({"count": 0}, "count must be at least 1"),
            ({"fraction": 0.0}, "fraction must be in"),
            ({"max_similarity": 1.1}, "max_similarity must be a cosine"),
            ({"noisy_fraction": 1.0}, "noisy_fraction must be in"),
            ({"scale": 0.0}, "scale must be above 0"),
            ({"scale": float("nan")}, "scale must be above 0"),
        ],
    )
    def test_options_out_of_range(self, options, words):
        with pytest.raises(ValueError, match=words):
            HardExamples(**options)

    @pytest.mark.parametrize("excluded", [np.zeros(3, bool), np.zeros(16)])
    def test_excluded_that_does_not_fit(self, excluded):
        with pytest.raises(ValueError, match=r"excluded must be bool \[16\]"):
            select_hard_examples(made_up([4] * 4), None, excluded)


class TestNearPairs:
    @pytest.mark.parametrize("small_blocks", [False, True])
    def test_equals_every_pair_bit_by_bit(self, small_blocks, monkeypatch):
        if small_blocks:
            monkeypatch.setattr(near_duplicates, "_PROBES", 7)
            monkeypatch.setattr(near_duplicates, "_GALLERY", 11)
        hashes = random_hashes(np.random.default_rng(1), 80)
        expected = []
        for i in range(80):
            for j in range(i + 1, 80):
                words = zip(hashes.fine[i].tolist(), hashes.fine[j].tolist(), strict=True)
                bits = sum((a ^ b).bit_count() for a, b in words)
                near = int(hashes.coarse[i] ^ hashes.coarse[j]).bit_count() <= SCREEN_BITS
                if near and bits <= CONFIRM_BITS and hashes.hashed[i] and hashes.hashed[j]:
                    expected.append((i, j, bits))
        assert 10 < len(expected) < 3000
        assert np.transpose(near_pairs(hashes)).tolist() == [list(one) for one in expected]

    def test_no_pictures_no_pairs(self):
        for hashes in (PictureHashes.stack([]), hashes_of(textured(0))):
            assert [column.tolist() for column in near_pairs(hashes)] == [[], [], []]


class TestDuplicatePictures:
    def test_of_one_person_the_best_stays(self):
        image = textured(0)
        images = [smaller(image), image, image, textured(1), brighter(image)]
        faces = faces_of([0] * 5, np.eye(_DIM)[:5], [1, 9, 9, 1, 3], images)
        found = find_duplicate_pictures(faces, _HASHES_ALONE)
        assert [one.subject.file for one in found] == ["0.jpg", "2.jpg", "4.jpg"]
        assert [one.evidence["kind"] for one in found] == ["near", "equal", "near"]
        assert {one.evidence["same_as"]["file"] for one in found} == {"1.jpg"}
        bits = [one.evidence["bits"] for one in found]
        assert max(bits) > 0
        for limit in (0, *bits):
            found = find_duplicate_pictures(faces, replace(_HASHES_ALONE, same_shot=limit))
            expected = [DROP if one <= limit else KEEP for one in bits]
            assert [one.action for one in found] == expected
        assert found[1].evidence["bits"] == 0
        assert found[1].score == 1.0 >= found[0].score > 0.8
        assert found[0].evidence["num_copies"] == 3
        assert json.loads(json.dumps(found[0].evidence)) == found[0].evidence

    def two_names(self, own, other):
        """One photograph as p0 and p1, whose other two pictures it fits so well."""
        eye = np.eye(_DIM, dtype=np.float32)
        one, two = (
            fit * eye[0] + (1 - fit**2) ** 0.5 * eye[row] for fit, row in ((own, 1), (other, 2))
        )
        images = [textured(seed) for seed in (0, 1, 2, 0, 3, 4)]
        embedding = np.stack([eye[0], one, one, eye[0], two, two])
        return faces_of([0, 0, 0, 1, 1, 1], embedding, images=images)

    def test_under_two_names_the_far_better_fit_is_right(self):
        (found,) = find_duplicate_pictures(self.two_names(0.8, 0.2), _HASHES_ALONE)
        assert (found.subject.file, found.action) == ("3.jpg", DROP)
        assert found.evidence["fits"] == {"set/p0": 0.8, "set/p1": 0.2}
        assert found.evidence["kept"]["file"] == "0.jpg"
        (found,) = find_duplicate_pictures(self.two_names(0.1, 0.7), _HASHES_ALONE)
        assert found.subject.file == "0.jpg"

    @pytest.mark.parametrize(("own", "other"), [(0.8, 0.75), (0.1, 0.1)])
    def test_under_two_names_that_fit_alike_nobody_keeps_it(self, own, other):
        found = find_duplicate_pictures(self.two_names(own, other), _HASHES_ALONE)
        assert [one.subject.file for one in found] == ["0.jpg", "3.jpg"]
        assert [one.evidence["kept"] for one in found] == [None, None]
        assert [one.evidence["same_as"]["file"] for one in found] == ["3.jpg", "0.jpg"]

    def test_copies_do_not_vouch_for_each_other(self):
        # p1 has nothing but three copies; p0 has other pictures, which it fits.
        eye = np.eye(_DIM, dtype=np.float32)
        images = [textured(seed) for seed in (0, 1, 0, 0, 0)]
        embedding = np.stack([eye[0], unit(eye[0] + eye[1]), eye[0], eye[0], eye[0]])
        found = find_duplicate_pictures(faces_of([0, 0, 1, 1, 1], embedding, images=images))
        assert [one.subject.file for one in found] == ["2.jpg", "3.jpg", "4.jpg"]
        assert found[0].evidence["fits"] == {"set/p1": 0.0, "set/p0": 0.7071}

    def test_pictures_that_are_not_hashed_are_found_by_their_pixels(self):
        flat = np.full((40, 40, 3), 7, np.uint8)
        images = [flat, textured(1), flat, flat + 1]
        faces = faces_of([0] * 4, np.eye(_DIM)[:4], images=images)
        assert not faces.hashes.hashed[0]
        (found,) = find_duplicate_pictures(faces)
        assert (found.subject.file, found.evidence["kind"]) == ("0.jpg", "equal")

    def test_faces_alike_are_listed_only(self):
        eye = np.eye(_DIM, dtype=np.float32)
        embedding = unit(np.stack([eye[0], eye[0] + 0.05 * eye[1], eye[2], eye[0]]))
        faces = faces_of([0, 0, 1, 2], embedding)
        found = find_duplicate_pictures(faces)
        assert [(one.subject.file, one.action) for one in found] == [
            ("0.jpg", KEEP),
            ("1.jpg", KEEP),
        ]
        assert found[0].evidence["same_as"] == {
            "dataset": "set",
            "identity": "p2",
            "file": "3.jpg",
        }
        assert {one.evidence["kind"] for one in found} == {"alike"}
        assert find_duplicate_pictures(faces, _HASHES_ALONE) == []

    def test_what_is_a_duplicate_already_is_not_listed_again(self):
        image = textured(0)
        embedding = np.eye(_DIM)[[0, 0, 1]]
        faces = faces_of([0, 0, 0], embedding, images=[image, image, textured(1)])
        assert [one.action for one in find_duplicate_pictures(faces)] == [DROP]

    @pytest.mark.parametrize(
        "options",
        [{"max_cosine": -1.0}, {"max_cosine": 1.1}, {"clear_fit": 0.0}, {"same_shot": -1}],
    )
    def test_options_out_of_range(self, options):
        with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
            DuplicatePictures(**options)
