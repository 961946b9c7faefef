"""P x K batches: right counts, no person twice, the same batch for the same step."""

import numpy as np
import pytest

from facezoo.data.sampling import IdentitySampler

LABEL = np.repeat([3, 5, 8, 13, 21], [6, 4, 5, 1, 7])


def test_a_batch_holds_p_people_with_k_different_images_each():
    sampler = IdentitySampler(LABEL, 2, 4, seed=0)
    for step in range(20):
        chosen = sampler.batch(step)
        people, counts = np.unique(LABEL[chosen], return_counts=True)
        assert len(people) == 2 and set(counts) == {4}
        for person in set(people) - {13}:
            own = chosen[LABEL[chosen] == person]
            assert len(set(own)) == 4, "a person with enough images repeats one"


def test_a_person_with_fewer_images_stands_there_with_all_of_them():
    sampler = IdentitySampler(LABEL, 5, 6, seed=0)
    chosen = sampler.batch(0)
    own = chosen[LABEL[chosen] == 5]
    assert len(own) == 6 and set(own) == set(np.flatnonzero(LABEL == 5))


def test_nobody_comes_twice_in_a_pass_and_everybody_comes_in_time():
    sampler = IdentitySampler(LABEL, 2, 2, seed=7)
    seen = set()
    for one_pass in range(12):
        steps = range(one_pass * 2, one_pass * 2 + 2)
        people = np.concatenate([np.unique(LABEL[sampler.batch(step)]) for step in steps])
        assert len(set(people)) == len(people) == 4
        seen |= set(people)
    assert seen == set(LABEL)


def test_a_batch_depends_on_seed_and_step_alone():
    first, second = (IdentitySampler(LABEL, 3, 2, seed=1) for _ in range(2))
    expected = [first.batch(step) for step in range(10)]
    resumed = [second.batch(step) for step in range(5, 10)]
    np.testing.assert_array_equal(expected[5:], resumed)
    assert not np.array_equal(expected[0], IdentitySampler(LABEL, 3, 2, seed=2).batch(0))


@pytest.mark.parametrize(("people", "images"), [(6, 2), (0, 2), (2, 0)])
def test_impossible_batches_are_refused(people, images):
    with pytest.raises(ValueError, match="Received: "):
        IdentitySampler(LABEL, people, images, seed=0)
