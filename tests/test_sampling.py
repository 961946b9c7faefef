"""P x K + R batches: right counts, nobody and nothing twice, the same batch for the same step."""

from collections import Counter

import numpy as np
import pytest

from facezoo.data.identity_groups import IdentityGroups
from facezoo.data.sampling import IdentitySampler

# Labels neither start at 0 nor are without gaps, and images of a person do not lie together.
COUNTS = {3: 6, 5: 4, 8: 5, 13: 1, 21: 7, 34: 2}
LABEL = np.random.default_rng(0).permutation(np.repeat(list(COUNTS), list(COUNTS.values())))
PINNED = [[7, 22, 18, 21, 15, 2, 13, 14], [10, 19, 5, 4, 6, 17, 24, 8]]
GROUPS = IdentityGroups.of(LABEL)


def make(num_identities, images_per_identity, seed=0, **others):
    return IdentitySampler(GROUPS, num_identities, images_per_identity, seed, **others)


def parts(sampler, step):
    """The images of each of the P, [P, K], and the negatives, [R]."""
    batch = sampler.batch(step)
    rows = sampler.num_identities * sampler.images_per_identity
    assert batch.shape == (rows + sampler.num_negatives,) and batch.dtype == np.int64
    return batch[:rows].reshape(sampler.num_identities, -1), batch[rows:]


def test_a_batch_holds_p_people_with_k_different_images_each():
    sampler = make(2, 4)
    for step in range(30):
        own, _ = parts(sampler, step)
        people = LABEL[own]
        assert (people == people[:, :1]).all() and people[0, 0] != people[1, 0]
        for images, person in zip(own, people[:, 0], strict=True):
            assert len(set(images)) == min(4, COUNTS[person])


def test_a_person_with_fewer_images_stands_there_with_all_of_them():
    sampler = make(3, 6)
    for step in range(20):
        for images in parts(sampler, step)[0]:
            person = LABEL[images[0]]
            counts = Counter(images.tolist())
            assert len(counts) == min(6, COUNTS[person])
            assert max(counts.values()) - min(counts.values()) <= 1


def test_who_has_too_few_images_is_skipped_but_is_a_negative():
    sampler = make(2, 5, num_negatives=4, few_images="skip")
    chosen, negatives = Counter(), Counter()
    for step in range(60):
        own, others = parts(sampler, step)
        assert all(len(set(images)) == 5 for images in own)
        chosen.update(LABEL[own[:, 0]].tolist())
        negatives.update(LABEL[others].tolist())
    assert set(chosen) == {3, 8, 21} and set(negatives) == set(COUNTS)


def test_filled_rows_hold_other_peoples_images_and_nothing_twice():
    sampler = make(2, 5, num_negatives=3, few_images="fill")
    for step in range(60):
        own, others = parts(sampler, step)
        people = LABEL[own[:, 0]]
        assert len(set(own.ravel()) | set(others)) == 13
        for images, person in zip(own, people, strict=True):
            wanted = min(5, COUNTS[person])
            assert (LABEL[images[:wanted]] == person).all()
            assert not np.isin(LABEL[images[wanted:]], people).any()
        assert not np.isin(LABEL[others], people).any()


@pytest.mark.parametrize("few_images", ["repeat", "skip", "fill"])
@pytest.mark.parametrize("num_negatives", [1, 4, 7, 12])
def test_negatives_are_different_images_of_different_others(few_images, num_negatives):
    sampler = make(2, 2, num_negatives=num_negatives, few_images=few_images)
    for step in range(30):
        own, negatives = parts(sampler, step)
        assert len(set(negatives)) == num_negatives
        assert not np.isin(LABEL[negatives], LABEL[own[:, 0]]).any()
        missing = sum(max(0, 2 - COUNTS[person]) for person in LABEL[own[:, 0]])
        if missing and few_images == "fill":
            continue
        others = {person: count for person, count in COUNTS.items() if person not in LABEL[own]}
        per_person = Counter(LABEL[negatives].tolist())
        # Nobody comes again before everybody who has another image has come as often.
        assert len(per_person) == min(num_negatives, len(others))
        most = max(per_person.values())
        for person, count in others.items():
            assert per_person[person] >= min(count, most - 1)


def test_every_image_is_drawn_sometime():
    sampler = make(2, 2, num_negatives=2)
    seen = np.unique(np.concatenate([sampler.batch(step) for step in range(200)]))
    assert len(seen) == len(LABEL)


def test_people_are_drawn_alike_as_negatives():
    sampler = make(1, 1, num_negatives=1)
    people = Counter(LABEL[sampler.batch(step)[1]] for step in range(3000))
    # 500 each are expected; 5 standard deviations.
    assert all(abs(count - 500) < 100 for count in people.values()), people


def test_nobody_comes_twice_in_a_pass_and_everybody_comes_in_time():
    sampler = make(4, 2, seed=7)
    assert sampler.batches_per_pass == 1
    sampler, seen, orders = make(2, 2, seed=7), Counter(), set()
    for one_pass in range(12):
        steps = range(one_pass * 3, one_pass * 3 + 3)
        people = np.concatenate([LABEL[parts(sampler, step)[0][:, 0]] for step in steps])
        assert sorted(people) == sorted(COUNTS)
        seen.update(people.tolist())
        orders.add(tuple(people))
    assert set(seen.values()) == {12} and len(orders) > 6


def test_a_batch_depends_on_seed_and_step_alone():
    settings = {"num_negatives": 3, "few_images": "fill"}
    first, second = (make(3, 3, seed=1, **settings) for _ in range(2))
    expected = [first.batch(step) for step in range(20)]
    for step in (19, 3, 11, 3, 0):
        np.testing.assert_array_equal(second.batch(step), expected[step])
    assert not np.array_equal(expected[0], make(3, 3, seed=2, **settings).batch(0))
    assert not np.array_equal(expected[0], expected[2])


def test_batches_do_not_change():
    # A training that was cut off must go on with the same batches after an update.
    sampler = make(2, 3, seed=4, num_negatives=2, few_images="fill")
    assert [sampler.batch(step).tolist() for step in (0, 1000)] == PINNED


def test_groups_hold_every_image_of_every_person():
    assert GROUPS.identities.tolist() == sorted(COUNTS)
    for number, (person, count) in enumerate(sorted(COUNTS.items())):
        images = GROUPS.images(number)
        assert len(images) == count == GROUPS.counts()[number]
        assert (LABEL[images] == person).all()


@pytest.mark.parametrize(
    ("arguments", "others", "message"),
    [
        ((7, 2), {}, "Expected: 1 to 6 .*Received: num_identities=7"),
        ((0, 2), {}, "Expected: 1 to 6 .*Received: num_identities=0"),
        ((2, 0), {}, "images_per_identity must be at least 1"),
        ((2, 2), {"num_negatives": -1}, "num_negatives must be at least 0"),
        ((2, 2), {"few_images": "drop"}, "one of repeat, skip, fill. Received: 'drop'"),
        ((4, 5), {"few_images": "skip"}, "1 to 3 .*; 3 with fewer than 5 images are skipped"),
        ((1, 8), {"few_images": "skip"}, "1 to 0 .*; 6 with fewer than 8 images are skipped"),
        ((5, 6), {}, "at most 25 images. Received: .* = 30"),
        ((2, 2), {"num_negatives": 13}, "at most 12, .* Received: num_negatives=13"),
        ((4, 5), {"num_negatives": 4}, "at most 3, .* Received: num_negatives=4"),
        ((4, 5), {"num_negatives": 3, "few_images": "fill"}, "at most 2, .* Received: num_neg"),
    ],
)
def test_impossible_batches_are_refused(arguments, others, message):
    with pytest.raises(ValueError, match=message):
        make(*arguments, **others)


@pytest.mark.parametrize(("few_images", "num_negatives"), [("repeat", 3), ("fill", 2)])
def test_the_largest_possible_batch_is_always_there(few_images, num_negatives):
    sampler = make(4, 5, num_negatives=num_negatives, few_images=few_images)
    for step in range(100):
        own, negatives = parts(sampler, step)
        assert len(set(negatives)) == num_negatives
        assert few_images == "repeat" or len(set(own.ravel()) | set(negatives)) == 22


def test_a_pass_is_shuffled_once(monkeypatch):
    sampler = make(2, 2)
    sampler.batch(3)
    monkeypatch.setattr(sampler, "_permutation", None)
    sampler.batch(4)
    with pytest.raises(TypeError):
        sampler.batch(6)
