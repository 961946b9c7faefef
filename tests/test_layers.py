"""Every layer of the zoo passes every check."""

import pytest

from tests.checks import cross
from tests.checks import layer as checks


@pytest.mark.parametrize(("cls", "check"), cross("layer", checks))
def test_layer(cls, check):
    check(cls)
