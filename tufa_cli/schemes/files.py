"""The one door to the data files in ``schemes/``.

They are installed as the package ``tufa_cli.schemes.builtin``. Some ways of running (a checkout
that is not installed, a legacy editable install) do not map that name, so a checkout's own folder
is the fallback.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

import tufa_cli
from tufa_cli.errors import TufaError

if TYPE_CHECKING:
    # Python 3.10 has this name elsewhere (importlib.abc), so it is not imported at run time.
    from importlib.resources.abc import Traversable

#: The parser in C, where PyYAML has it: ten times faster on thousands of points.
YAML_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def builtin_folder() -> Traversable:
    """The folder of shipped scheme files."""
    try:
        return resources.files("tufa_cli.schemes.builtin")
    except ModuleNotFoundError:
        checkout = Path(tufa_cli.__file__).resolve().parent.parent / "schemes"
        if checkout.is_dir():
            return checkout
        raise


def builtin_text(name: str) -> str:
    """The text of one shipped file."""
    try:
        text: str = (builtin_folder() / name).read_text(encoding="utf-8")
        return text
    except FileNotFoundError:
        raise TufaError(
            f"the installed package has no schemes/{name}", "reinstall tufa-cli"
        ) from None


def builtin_names() -> list[str]:
    """Names of the shipped schemes (files whose name starts with an underscore are not schemes)."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in builtin_folder().iterdir()
        if entry.name.endswith(".yaml") and not entry.name.startswith("_")
    )
