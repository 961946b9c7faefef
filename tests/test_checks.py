"""The crossing of parts with checks: known failures are strict, and must name a check."""

from types import ModuleType

import pytest

from facezoo import registry
from tests.checks import cross


@pytest.fixture
def fruit(monkeypatch):
    """A part that fails `check_ripe`, and a module of two checks."""

    def check_ripe(cls):
        raise AssertionError

    def check_round(cls):
        pass

    checks = ModuleType("fruit")
    vars(checks).update(check_ripe=check_ripe, check_round=check_round)
    apple = type("Apple", (), {"__module__": "orchard.apple"})
    monkeypatch.setattr(registry, "_PARTS", {"fruit": {"apple": apple}})
    return apple, checks


def test_every_part_meets_every_check(fruit):
    apple, checks = fruit
    crossed = cross("fruit", checks)
    assert [case.id for case in crossed] == ["apple-ripe", "apple-round"]
    assert [case.values for case in crossed] == [
        (apple, checks.check_ripe),
        (apple, checks.check_round),
    ]
    assert not any(case.marks for case in crossed)


def test_a_known_failure_is_a_strict_xfail_with_its_reason(fruit):
    apple, checks = fruit
    apple.KNOWN_FAILURES = {"check_ripe": "picked too early"}
    (mark,) = cross("fruit", checks)[0].marks
    assert mark.name == "xfail"
    assert mark.kwargs == {"reason": "picked too early", "strict": True}


def test_a_known_failure_of_no_check_raises(fruit):
    apple, checks = fruit
    apple.KNOWN_FAILURES = {"check_sweet": "why"}
    with pytest.raises(ValueError, match=r"do not exist: \['check_sweet'\]. Known: \['check_ripe'"):
        cross("fruit", checks)
