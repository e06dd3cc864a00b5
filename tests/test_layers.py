"""Each layer imports only those to its left, heavy packages stay in place, files stay small.

Read from the syntax tree, so imports inside functions and under TYPE_CHECKING count too.
"""

from __future__ import annotations

import ast
import configparser
import graphlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGE = CHECKOUT / "tufa_cli"

LAYERS = (
    "errors",
    "geometry",
    "schemes",
    "annotation",
    "images",
    "formats",
    "detect",
    "model",
    "data",
    "evaluation",
    "training",
    "pipeline",
    "cli",
)
#: Modules beside the packages, and the layer they belong to.
PLACED = {
    "writing": "errors",
    "selection": "annotation",
    "format_toolkit": "formats",
    "__main__": "cli",
}

EVERYTHING = {"numpy", "scipy", "yaml", "cv2", "skimage", "PIL", "h5py", "torch"}
#: Third-party packages a layer may import anywhere …
ALLOWED = {
    "errors": set[str](),
    "geometry": {"numpy", "scipy"},
    "schemes": {"numpy", "yaml"},
    "annotation": {"numpy"},
    "images": {"numpy", "cv2", "skimage", "PIL"},
    # yaml: schemes have loaded it already.
    "formats": {"numpy", "yaml"},
    "detect": {"numpy", "cv2", "skimage", "torch"},
    "model": {"numpy", "torch"},
    "data": {"numpy", "h5py", "torch", "cv2"},
    "evaluation": {"numpy"},
    "training": {"numpy", "torch", "yaml"},
    "pipeline": EVERYTHING,
    "cli": {"click"},
}
#: … and those it may import inside functions only, so that who does not need them does not wait.
INSIDE_FUNCTIONS = {
    # orjson is the extra "fast", asked for in one place and never needed.
    "formats": {"h5py", "scipy", "orjson"},
    # scipy pairs the faces of one photo; cv2 draws curves.
    "evaluation": {"scipy", "cv2"},
    # Loader processes turn OpenCV's own threads off.
    "training": {"cv2"},
    "cli": EVERYTHING | {"rich"},
}

MAX_MODULE_LINES = 400
MAX_BODY_LINES = 60


class Import(NamedTuple):
    """One imported module: its dotted name, its line, and whether it happens inside a function."""

    name: str
    line: int
    deferred: bool


def module_name(path: Path) -> str:
    parts = list(path.relative_to(CHECKOUT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports_of(name: str, tree: ast.AST) -> Iterator[Import]:
    """Every import in ``tree``; one of a module's names counts as one of that module."""
    for node, deferred in walk(tree, False):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, deferred)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno}: relative imports hide the layer"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield Import(inner if inner in MODULES else node.module, node.lineno, deferred)


def walk(node: ast.AST, deferred: bool) -> Iterator[tuple[ast.AST, bool]]:
    """All nodes below ``node``, with True for those that do not run when the module is imported."""
    for child in ast.iter_child_nodes(node):
        yield child, deferred
        later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) or (
            isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        )
        yield from walk(child, deferred or later)


def layer_of(module: str) -> str | None:
    """The layer of a module of ours; None for the bare package, which holds the version only."""
    parts = module.split(".")
    return PLACED.get(parts[1], parts[1]) if len(parts) > 1 else None


def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def violations(module: str, tree: ast.AST) -> list[str]:
    """What ``module`` imports against the plan, one line each."""
    layer = layer_of(module)
    if layer is None:
        return [f"{module} imports {found.name}" for found in imports_of(module, tree)]
    problems = []
    for name, line, deferred in imports_of(module, tree):
        root = name.partition(".")[0]
        if root == "tufa_cli":
            other = layer_of(name)
            if other is not None and LAYERS.index(other) > LAYERS.index(layer):
                problems.append(f"{module}:{line}: {layer} imports {name}, which lies to its right")
            if layer == "cli" and not deferred and other not in {None, "errors", "cli"}:
                problems.append(f"{module}:{line}: {name} belongs inside the command body")
        elif root not in sys.stdlib_module_names and root not in ALLOWED[layer]:
            if root not in INSIDE_FUNCTIONS.get(layer, set()):
                problems.append(f"{module}:{line}: {layer} may not import {root}")
            elif not deferred:
                problems.append(f"{module}:{line}: {root} belongs inside a function")
    return problems


def test_there_are_modules_in_every_layer():
    assert {layer_of(module) for module in MODULES} - {None} == set(LAYERS)


@pytest.mark.parametrize("module", MODULES)
def test_imports_follow_the_layers(module):
    assert violations(module, tree_of(module)) == []


@pytest.mark.parametrize(
    "module, source, problem",
    [
        ("tufa_cli.geometry.x", "def f():\n    from tufa_cli.schemes import load", "to its right"),
        ("tufa_cli.formats.x", "from tufa_cli.detect.base import Detector", "to its right"),
        ("tufa_cli.errors", "import numpy as np", "may not import numpy"),
        ("tufa_cli.model.x", "import click", "may not import click"),
        ("tufa_cli.pipeline.x", "from rich.progress import Progress", "may not import rich"),
        ("tufa_cli.formats.x", "import h5py", "inside a function"),
        ("tufa_cli.cli.x", "import torch", "inside a function"),
        ("tufa_cli.cli.x", "from tufa_cli.model.tufa import Tufa", "inside the command body"),
    ],
)
def test_the_check_finds_what_it_is_for(module, source, problem):
    found = violations(module, ast.parse(source))
    assert len(found) == 1 and problem in found[0]


@pytest.mark.parametrize(
    "module, source",
    [
        ("tufa_cli.writing", "from tufa_cli.errors import OutputError"),
        ("tufa_cli.selection", "from tufa_cli.schemes import get_scheme"),
        ("tufa_cli.formats.x", "def f():\n    import scipy.io"),
        ("tufa_cli.cli.x", "def f():\n    import torch\n    from tufa_cli.model import tufa"),
        ("tufa_cli.cli.x", "if TYPE_CHECKING:\n    import numpy as np"),
    ],
)
def test_the_check_lets_through_what_the_plan_allows(module, source):
    assert violations(module, ast.parse(source)) == []


def test_no_module_imports_itself_by_a_detour():
    graph = {
        module: {i.name for i in imports_of(module, tree_of(module))} & MODULES.keys()
        for module in MODULES
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"import cycle: {' → '.join(error.args[1])}")


def test_every_third_party_import_is_declared():
    """The names on the registry of what is imported, against ``install_requires`` and extras."""
    registry = {
        "yaml": "pyyaml",
        "cv2": "opencv-python",
        "skimage": "scikit-image",
        "PIL": "pillow",
    }
    config = configparser.ConfigParser()
    config.read(CHECKOUT / "setup.cfg", encoding="utf-8")
    declared = {
        line.partition(">=")[0]
        for lines in (
            config["options"]["install_requires"],
            config["options.extras_require"]["fast"],
        )
        for line in lines.split("\n")
        if line
    }
    imported = {
        found.name.partition(".")[0]
        for module in MODULES
        for found in imports_of(module, tree_of(module))
    }
    outside = {r for r in imported if r != "tufa_cli" and r not in sys.stdlib_module_names}
    assert outside and {registry.get(root, root) for root in outside} <= declared


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES.keys())
def test_modules_and_functions_stay_readable(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MAX_MODULE_LINES
    long = {
        node.name: length
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := body_lines(node)) > MAX_BODY_LINES
    }
    assert long == {}


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body, without its docstring and signature."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0
