"""The registry: file names as names, variants, and errors that help."""

import pytest

from facezoo import registry


@pytest.fixture
def fruit(monkeypatch):
    monkeypatch.setattr(registry, "_PARTS", {})
    return _make("orchard.apple", "Apple"), _make("orchard.pear", "Pear", {"nashi": {"size": 2}})


def _make(module, name, variants=None):
    namespace = {"__module__": module} | ({"VARIANTS": variants} if variants else {})
    return registry.register("fruit")(type(name, (), namespace))


def test_a_class_is_filed_under_its_file_name(fruit):
    apple, pear = fruit
    assert registry.parts("fruit") == {"apple": apple, "pear": pear}


def test_a_class_answers_to_its_variants_instead_of_its_file_name(fruit):
    apple, pear = fruit
    assert registry.names("fruit") == ["apple", "nashi"]
    assert registry.get("fruit", "apple") == (apple, {})
    assert registry.get("fruit", "nashi") == (pear, {"size": 2})


def test_the_same_class_may_be_registered_again(fruit):
    again = _make("orchard.apple", "Apple")
    assert registry.parts("fruit")["apple"] is again


def test_a_name_is_taken_once(fruit):
    with pytest.raises(ValueError, match="already registered as 'apple': Apple.*Received: Plum"):
        _make("garden.apple", "Plum")


def test_unknown_name_lists_the_known_and_the_nearest(fruit):
    with pytest.raises(ValueError, match=r"'aple'. Did you mean 'apple'\? Known: apple, nashi"):
        registry.get("fruit", "aple")


def test_unknown_kind_lists_the_known(fruit):
    with pytest.raises(ValueError, match="Unknown kind 'fruits'. Known kinds: fruit"):
        registry.names("fruits")
