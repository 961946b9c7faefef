"""Every head passes every check; and what is particular to one of them."""

import doctest

import pytest

from facezoo.heads import CosFace, cosface, normface
from tests.checks import cross
from tests.checks import head as checks


@pytest.mark.parametrize(("cls", "check"), cross("head", checks))
def test_head(cls, check):
    check(cls)


@pytest.mark.parametrize("module", [cosface, normface])
def test_examples_of_the_docstring(module):
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("margin", [-0.1, 1.1, float("nan")])
def test_cosface_refuses_a_margin_that_is_no_cosine(margin):
    with pytest.raises(ValueError, match=r"margin must be in \[0, 1\].*Received: margin="):
        CosFace(num_classes=2, margin=margin)
