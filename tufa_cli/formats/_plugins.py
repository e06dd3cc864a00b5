"""Formats of other packages: found by their entry points, loaded when needed, never trusted.

Whatever goes wrong in another package's code becomes a TufaError that names the package; it takes
neither this program down nor the formats beside it.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, cast

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.errors import TufaError
from tufa_cli.formats._base import Capabilities, Format, Sniff, first

ENTRY_POINTS = "tufa_cli.formats"

_OFF = "TUFA_DISABLE_PLUGINS=1 goes on without other packages' formats"
#: What a format must have and the arguments that it is called with.
_CALLED_WITH = {"sniff": 1, "read": 2, "write": 3}


def plugins() -> dict[str, tuple[EntryPoint, ...]]:
    """Formats of other packages by name, none of them loaded; several where packages clash."""
    return _listing()[0]


@functools.lru_cache(maxsize=1)
def _listing() -> tuple[dict[str, tuple[EntryPoint, ...]], str | None]:
    """The formats, and why there are none where the packages' metadata cannot be read."""
    found: dict[str, tuple[EntryPoint, ...]] = {}
    if os.environ.get("TUFA_DISABLE_PLUGINS"):
        return found, None
    try:
        points = sorted(entry_points(group=ENTRY_POINTS), key=_origin)
    except Exception as error:  # another package's metadata may be broken in any way
        return found, f"{type(error).__name__}: {error}"
    for point in points:
        known = found.get(point.name, ())
        if all(point.value != other.value for other in known):  # one package may be found twice
            found[point.name] = (*known, point)
    return found, None


def _origin(point: EntryPoint) -> str:
    """The package and the place in it, for messages."""
    try:
        assert point.dist is not None
        return f"{point.dist.name} {point.dist.version}, {point.value}"
    except Exception:  # metadata that is broken or not there
        return point.value


def clashes(built_in: Iterable[str]) -> list[str]:
    """Names that several formats claim, in words; a built-in one wins, others are not chosen."""
    taken = set(built_in)
    reason = _listing()[1]
    said = [f"no other package's format can be used: {reason}"] if reason is not None else []
    for name, points in sorted(plugins().items()):
        origins = first(list(map(_origin, points)))
        if name in taken:
            said.append(f"format '{name}' of another package ({origins}) is not used: built in")
        elif len(points) > 1:
            said.append(f"format '{name}' is brought by several packages ({origins}): none is used")
    return said


def load_plugin(name: str) -> Format:
    """A format of another package, guarded; raises TufaError when it cannot be used."""
    points = plugins()[name]
    if len(points) > 1:
        origins = first(list(map(_origin, points)))
        raise TufaError(
            f"format '{name}' is brought by several packages ({origins})", "uninstall all but one"
        )
    where = f"format '{name}' ({_origin(points[0])})"
    try:
        found = points[0].load()
        problems = _problems(found)
    except (Exception, SystemExit) as error:  # another package's code may raise anything
        reason = f"{type(error).__name__}: {error}"
        raise TufaError(f"{where} cannot be loaded: {reason}", _OFF) from error
    if problems:
        raise TufaError(f"{where} {'; '.join(problems)}", "docs/new_format.md says what it needs")
    return cast(Format, _Guarded(found, name, where))


def _problems(found: object) -> list[str]:
    """What a format lacks, each in words that go on from its name."""
    needed = ["TITLE", "CAPABILITIES", *_CALLED_WITH]
    capabilities = getattr(found, "CAPABILITIES", None)
    if isinstance(capabilities, Capabilities) and capabilities.read_only is not None:
        needed.remove("write")
    missing = [part for part in needed if not hasattr(found, part)]
    if missing:
        return [f"has no {', '.join(missing)}"]
    problems = []
    if not isinstance(capabilities, Capabilities):
        problems.append("has CAPABILITIES that are no tufa_cli.formats.Capabilities")
    for part, count in _CALLED_WITH.items():
        function = getattr(found, part, None)
        if function is not None and not _takes(function, count):
            problems.append(f"has a {part} that does not take {count} arguments")
    return problems


def _takes(function: object, count: int) -> bool:
    if not callable(function):
        return False
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:  # written in C: it does not tell
        return True
    return True


class _Guarded:
    """A format whose mistakes are errors that name it, and whose answers are looked at."""

    def __init__(self, plugin: Any, name: str, where: str) -> None:
        self._plugin, self._where = plugin, where
        self.NAME = name

    def __getattr__(self, part: str) -> Any:
        value = getattr(self._plugin, part)
        return functools.partial(self._hook, part, value) if callable(value) else value

    def _hook(self, part: str, function: Callable[..., Any], *given: object) -> Any:
        answer = self._call(part, function, *given)
        # ``renames`` makes a check, which is called later.
        return functools.partial(self._call, part, answer) if callable(answer) else answer

    def sniff(self, path: Path) -> Sniff:
        return cast(Sniff, self._answer("sniff", Sniff, path))

    def read(self, source: Path, options: object) -> Iterator[AnnotatedImage]:
        """The records of the plug-in, each looked at."""
        records = iter(self._answer("read", Iterable, source, options))
        end = object()
        while (image := self._call("read", next, records, end)) is not end:
            yield self._checked("read", AnnotatedImage, image)

    def write(self, images: object, target: Path, options: object) -> list[Path]:
        """The files that the plug-in says it wrote."""
        files = self._answer("write", Sequence, images, target, options)
        return [self._checked("write", Path, path) for path in files]

    def _answer(self, part: str, kind: Any, *given: object) -> Any:
        answer = self._call(part, getattr(self._plugin, part), *given)
        return self._checked(part, kind, answer)

    def _checked(self, part: str, kind: Any, answer: Any) -> Any:
        if not isinstance(answer, kind):
            raise TufaError(
                f"{self._where}: {part} gave {type(answer).__name__} instead of {kind.__name__}",
                "docs/new_format.md says what it should give",
            )
        return answer

    def _call(self, part: str, function: Callable[..., Any], *given: object) -> Any:
        try:
            return function(*given)
        except TufaError:
            raise
        except (Exception, SystemExit) as error:
            reason = f"{type(error).__name__}: {error}"
            raise TufaError(
                f"{self._where}: {part} failed: {reason}",
                "that is for its authors to mend; 'tufa-cli --debug ...' shows where",
            ) from error
