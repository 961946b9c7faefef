"""Which names of people are one, and which are no names."""

import pytest

from facezoo.data.person_names import comparable_name, comparable_names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("George_W_Bush", "george w bush"),
        ("george w. bush", "george w bush"),
        ("GEORGE-W-BUSH_0001", "george w bush"),
        ("José María Aznar", "jose maria aznar"),
        ("Jose\N{COMBINING ACUTE ACCENT}_Maria_Aznar", "jose maria aznar"),
        ("Søren Kierkegård", "soren kierkegard"),
        ("Sinéad O'Connor", "sinead oconnor"),
        ("Sinead O\N{RIGHT SINGLE QUOTATION MARK}Connor", "sinead oconnor"),
        ("Weiß", "weiss"),
        ("Madonna", "madonna"),
        ("王菲", "王菲"),
    ],
)
def test_spellings_of_a_name(name, expected):
    assert comparable_name(name) == expected


@pytest.mark.parametrize(
    "code",
    ["00013", "F0001_MID1", "s12", "n000042", "person_12", "m.0107_f", "m", "p0", "", "__", "a b"],
)
def test_codes_are_no_names(code):
    assert comparable_name(code) is None


def test_initials_tell_people_apart():
    assert comparable_name("George Bush") != comparable_name("George W Bush")


def test_names_that_number_things_are_left_out():
    names = ["test_person_1", "test_person_2", "Ann_Lee", "ann lee", "Bob_Ray_0001"]
    assert comparable_names(names) == {
        "ann lee": ["Ann_Lee", "ann lee"],
        "bob ray": ["Bob_Ray_0001"],
    }
