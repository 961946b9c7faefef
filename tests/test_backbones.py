"""Every backbone of the zoo passes every check."""

import pytest

from tests.checks import backbone as checks
from tests.checks import cross


@pytest.mark.parametrize(("cls", "check"), cross("backbone", checks))
def test_backbone(cls, check):
    check(cls)
