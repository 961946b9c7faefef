"""The house: imports run down only, no `utils`, small files, each with a word on what it is for."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
FILES = [
    path.relative_to(REPOSITORY)
    for room in ("facezoo", "pipelines", "tests")
    for path in sorted((REPOSITORY / room).rglob("*.py"))
]


def _text(file):
    return (REPOSITORY / file).read_text("utf-8")


def _names_bound(tree):
    """Names that the top level of a module binds."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        else:
            yield from (name.id for name in ast.walk(node) if isinstance(name, ast.Name))


def _names_promised(tree):
    """Names in `__all__`."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return []


def test_imports_run_down_only():
    """The contracts in pyproject.toml; in a process of its own, because its output is animated."""
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", program, "--no-cache", "--no-logo"]
    process = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr


def test_no_room_is_called_utils():
    words = {file: set("_".join(file.with_suffix("").parts).split("_")) for file in FILES}
    assert [str(file) for file in FILES if words[file] & {"util", "utils"}] == []


def test_files_are_small():
    """A limit is raised in pyproject.toml only, for a folder or for one file, with the reason."""
    limits = tomllib.loads(_text("pyproject.toml"))["tool"]["facezoo"]["max-lines"]
    lines = {file.as_posix(): len(_text(file).splitlines()) for file in FILES}
    limit = {file: limits.get(file, limits[file.partition("/")[0]]) for file in lines}
    assert {file: count for file, count in lines.items() if count > limit[file]} == {}


def test_files_say_what_they_are_for():
    first_lines = {
        str(file): (ast.get_docstring(ast.parse(_text(file))) or "").partition("\n")[0]
        for file in FILES
    }
    assert [file for file, line in first_lines.items() if not line.endswith(".")] == []


def test_names_in_all_exist():
    trees = {str(file): ast.parse(_text(file)) for file in FILES}
    missing = {
        file: set(_names_promised(tree)) - set(_names_bound(tree)) for file, tree in trees.items()
    }
    assert {file: names for file, names in missing.items() if names} == {}
