"""A look at the first face of a source, before it is decided how the source is read."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import TufaError
from tufa_cli.formats import read


class PeekedSource:
    """A source that was looked into, and can be read on from there.

    options: for ``formats.read``, without scheme and callbacks.
    """

    def __init__(self, path: Path | str, format: str, options: dict[str, Any]) -> None:
        self.path, self.format, self.options = path, format, options
        # A setting may ask for photos to be unpacked: not while only looking.
        self._looking = {**options, "dry_run": True} if options.get("settings") else options
        self._head: list[AnnotatedImage] = []
        self._rest: Iterator[AnnotatedImage] = iter(())
        self._told: list[tuple[str, Any]] = []
        self._callbacks: dict[str, Any] | None = None

    def peek(self) -> tuple[Face | None, TufaError | None]:
        """The first face, if any, and the error that kept it from being read."""
        try:
            self._rest = read(
                self.path,
                self.format,
                on_error=functools.partial(self._tell, "on_error"),
                on_note=functools.partial(self._tell, "on_note"),
                **self._looking,
            )
            for image in self._rest:
                self._head.append(image)
                if image.faces:
                    return image.faces[0], None
        except TufaError as error:
            return None, error
        return None, None

    def resume(self, callbacks: dict[str, Any]) -> Iterator[AnnotatedImage]:
        """All records, those that were looked at first."""
        if self._looking != self.options:
            yield from read(self.path, self.format, **callbacks, **self.options)
            return
        self._callbacks = callbacks
        for kind, value in self._told:
            self._tell(kind, value)
        yield from chain(self._head, self._rest)

    def _tell(self, kind: str, value: Any) -> None:
        """Hand on a note or an error, once it is known to whom."""
        if self._callbacks is None:
            self._told.append((kind, value))
        elif self._callbacks[kind] is not None:
            self._callbacks[kind](value)
        elif kind == "on_error":
            raise value
