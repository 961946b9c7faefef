"""Every loss on embeddings passes every check."""

import pytest

from tests.checks import cross
from tests.checks import loss as checks


@pytest.mark.parametrize(("cls", "check"), cross("loss", checks))
def test_loss(cls, check):
    check(cls)
