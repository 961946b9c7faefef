"""`python -m facezoo summary`: the zoo's table, for people and for programs."""

import json
import re

import pytest

from facezoo import registry
from facezoo.cli import summary
from facezoo.cli.main import main

NN2_FAMILY = "FaceNet, arXiv 1503.03832, table 2"
MOBILE_FAMILY = "MobileFaceNets, arXiv 1804.07573, table 1"


def printed(capsys, *arguments):
    assert main(["summary", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def variants(lines):
    """Names in a table, line by line; headings of families are not indented."""
    return [line.split()[0] for line in lines[1:] if line.startswith("  ")]


def test_a_row_says_what_the_model_is(capsys):
    lines = printed(capsys, "mobilefacenet")
    assert lines == [
        "  variant            input   parameters  MACs (10^6)  embedding",
        "",
        MOBILE_FAMILY,
        "  mobilefacenet  112 x 112    1,003,136        221.0  128 depthwise",
    ]


def test_columns_are_aligned_and_reconstructions_are_named(capsys):
    header, *lines = printed(capsys, "nns2", "mobilefacenet")
    mobile, small = (line for line in lines if line.startswith("  "))
    for title in ("input", "parameters", "MACs (10^6)"):
        end = header.index(title) + len(title)
        assert all(re.match(r"\d( |$)", line[end - 1 :]) for line in (mobile, small)), title
    start = header.index("embedding")
    assert mobile[start:] == "128 depthwise"
    assert small[start:] == "128 flatten     reconstruction: the paper gives no layers"


def test_names_are_shown_once_in_the_order_of_the_table(capsys):
    lines = printed(capsys, "nns2", "mobilefacenet", "nn4_small2", "nns2")
    assert variants(lines) == ["mobilefacenet", "nn4_small2", "nns2"]
    assert [line for line in lines if line and not line.startswith(" ")] == [
        MOBILE_FAMILY,
        NN2_FAMILY,
    ]


def test_json_holds_the_numbers(capsys):
    (row,) = json.loads("\n".join(printed(capsys, "nns2", "--json")))
    assert row == {
        "variant": "nns2",
        "image_shape": [140, 116, 3],
        "parameters": 4221072,
        "macs": 20076992,
        "embedding_dim": 128,
        "pooling": "flatten",
        "source": NN2_FAMILY,
        "remark": "reconstruction: the paper gives no layers",
    }


@pytest.mark.slow
def test_the_whole_zoo_fits_the_screen(capsys):
    lines = printed(capsys)
    assert sorted(variants(lines)) == registry.names("backbone")
    assert variants(lines).index("iresnet34") < variants(lines).index("iresnet100")
    assert max(map(len, lines)) <= 120
    ends = {re.search(r"\.\d(?= )", line).end() for line in lines if " x " in line}
    assert len(ends) == 1, "columns are not aligned"


def test_an_unknown_name_lists_the_known_ones_and_prints_no_table(capsys):
    assert main(["summary", "mobilefacenet", "iresnet5"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("facezoo summary: Unknown backbone 'iresnet5'. Did you mean 'iresnet50'?")
    assert "Known: inception_resnet_v1, " in err


def test_remarks_are_about_variants_of_the_zoo():
    assert set(summary._REMARKS) <= set(registry.names("backbone"))


def test_help_explains_the_columns(capsys):
    text = "\n".join(printed(capsys, "--help"))
    assert "Usage: python -m facezoo summary [NAME ..] [--json]" in text
    assert "multiply-adds" in text
