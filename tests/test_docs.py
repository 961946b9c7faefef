"""Documentation that can be wrong is tested: presets, cards, docstring sections, examples."""

import ast
import doctest
import functools
import importlib
import re
from importlib.resources import files
from pathlib import Path

import pytest

import facezoo
from facezoo import presets, registry
from facezoo.data.preprocessing import Preprocessing
from facezoo.models import blueprint

ROOT = Path(__file__).parent.parent
PRESETS = presets.names()
SOURCES = sorted(
    path for package in ("facezoo", "pipelines") for path in (ROOT / package).rglob("*.py")
)
# In this order; a component has the last four.
SECTIONS = (
    "Args",
    "Call",
    "Returns",
    "Yields",
    "Raises",
    "Numerics",
    "Example",
    "Source",
    "Inputs",
    "Outputs",
    "Params",
    "Guarantees",
)
DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def public_definitions(body, prefix=""):
    """Yields (name, node) of public classes, functions and methods."""
    for node in body:
        if isinstance(node, DEFINITIONS) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node.body, f"{prefix}{node.name}.")


DOCUMENTED = [
    pytest.param(node, ast.get_docstring(node), id=f"{name_of(path)}.{name}")
    for path in SOURCES
    for name, node in public_definitions(ast.parse(path.read_text(encoding="utf-8")).body)
    if ast.get_docstring(node)
]
WITH_EXAMPLES = [name_of(path) for path in SOURCES if ">>>" in path.read_text(encoding="utf-8")]


def parameters(node):
    """Names that a signature, a dataclass or a NamedTuple takes."""
    if not isinstance(node, ast.ClassDef):
        arguments = node.args
        found = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        return {one.arg for one in [*found, arguments.vararg, arguments.kwarg] if one}
    fields = {one.target.id for one in node.body if isinstance(one, ast.AnnAssign)}
    methods = [one for one in node.body if isinstance(one, ast.FunctionDef)]
    return fields.union(*(parameters(one) for one in methods if one.name == "__init__"))


@functools.cache
def build(preset):
    return blueprint(facezoo.FaceModel.from_preset, preset)


@functools.cache
def card_text(preset):
    card = files("model_cards") / f"{preset}.md"
    assert card.is_file(), f"model_cards/{preset}.md is missing: every preset has a card."
    return card.read_text(encoding="utf-8")


@pytest.mark.parametrize("preset", PRESETS)
class TestPresets:
    def test_builds_what_it_describes(self, preset):
        content, model = presets.load(preset), build(preset)
        assert model.preprocessing == Preprocessing(**content["preprocessing"])
        assert model.backbone.image_shape == model.preprocessing.image_shape
        assert model.embedding.embedding_dim == content["embedding_dim"]
        assert model.embedding.pooling == content["embedding_pooling"]

    def test_names_parts_of_the_zoo(self, preset):
        content = presets.load(preset)
        assert content["backbone"]["name"] in registry.names("backbone")
        if content["head"] is not None:
            head = facezoo.create_head(**content["head"], num_classes=2)
            for argument, value in content["head"].items():
                assert argument == "name" or getattr(head, argument) == value

    def test_has_a_card_with_the_headings_of_the_template(self, preset):
        headings = re.findall(r"^## (.*)$", card_text(preset), re.MULTILINE)
        assert headings == [
            "Model details",
            "Parameters",
            "Quantitative analysis",
            "Considerations",
        ]
        assert card_text(preset).startswith(f"# {preset}:")

    def test_every_number_of_its_card_is_true(self, preset):
        content, text = presets.load(preset), card_text(preset)
        preprocessing = content["preprocessing"]
        assert f"{build(preset).count_params():,} with the moving averages" in text
        assert f"{preprocessing['height']} x {preprocessing['width']} pixels, RGB" in text
        assert f"{content['embedding_dim']} numbers, `{content['embedding_pooling']}`" in text
        for word in ("standardization", "alignment"):
            assert f"`{preprocessing[word]}`" in text
        for argument, value in (content["head"] or {}).items():
            assert argument == "name" or f"{argument} {value:g}" in text

    def test_a_card_without_weights_states_no_score(self, preset):
        assert presets.load(preset)["weights"] is None
        assert "Nothing was measured: there are no weights." in card_text(preset)
        assert not re.search(r"\d %|\b0\.9\d|AUC|EER|accuracy", card_text(preset))


def test_every_card_belongs_to_a_preset():
    cards = {file.name for file in files("model_cards").iterdir() if file.name.endswith(".md")}
    assert cards == {f"{preset}.md" for preset in PRESETS} | {"TEMPLATE.md"}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_file_opens_with_one_line_on_what_it_is_for(path):
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, f"{path.relative_to(ROOT)} has no docstring."
    first, *others = docstring.split("\n")
    assert first[-1] in ".?"
    assert not others or not others[0]


@pytest.mark.parametrize(("node", "docstring"), DOCUMENTED)
class TestDocstrings:
    def test_sections_stand_in_order(self, node, docstring):
        found = re.findall(rf"^({'|'.join(SECTIONS)}):", docstring, re.MULTILINE)
        assert found == sorted(set(found), key=SECTIONS.index)

    def test_arguments_are_those_of_the_signature(self, node, docstring):
        section = re.search(r"^Args:\n((?: +.*\n?|\n)*)", docstring, re.MULTILINE)
        if section is None:
            return
        described = re.findall(r"^ {4}(?! )\*{0,2}([\w, ]+):", section[1], re.MULTILINE)
        names = [name.strip() for line in described for name in line.split(",")]
        assert names, "An empty section Args."
        inherits_all = isinstance(node, ast.ClassDef) and not parameters(node)
        assert inherits_all or set(names) <= parameters(node)


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_run(module):
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0
