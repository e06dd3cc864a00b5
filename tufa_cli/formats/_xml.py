"""XML as a stream of records, and text for writing it.

Files of hundreds of megabytes are common, so only one record (a photo's element with all that is
in it) is in memory at a time. A DTD is refused: no format here has one, and entities are how a few
lines of XML come to fill a machine's memory. Expat is used directly, since ElementTree does not
tell the line of an element, which is what a user needs to mend a file.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from xml.parsers import expat

from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats._numbers import number

_CHUNK = 1 << 16

#: Guards: more than this in one record, in one tag or in one text, is no label file.
_MOST_ELEMENTS = 2_000_000
_MOST_DEPTH = 100
_MOST_BYTES = 1 << 24

#: What expat says of a file that ends too early.
_CUT = {
    expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS],
    expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_TOKEN],
    expat.errors.codes[expat.errors.XML_ERROR_PARTIAL_CHAR],
    expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION],
}


class At(ValueError):
    """A problem in a line of the file."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


class Node:
    """An element: its tag, attributes, children, own text, and the line it begins in."""

    __slots__ = ("attributes", "children", "line", "tag", "text")

    def __init__(self, tag: str, attributes: dict[str, str], line: int) -> None:
        self.tag = tag
        self.attributes = attributes
        self.line = line
        self.children: list[Node] = []
        self.text = ""

    def all(self, *tags: str) -> Iterator[Node]:
        """The children with one of these tags, in their order."""
        return (child for child in self.children if child.tag in tags)

    def text_of(self, tag: str) -> str | None:
        """The text of the first child of this tag, without spaces around; None without one."""
        return next((child.text.strip() for child in self.all(tag)), None)

    def below(self, tag: str) -> Iterator[Node]:
        """All elements of this tag at any depth below, in the file's order."""
        for child in self.children:
            if child.tag == tag:
                yield child
            yield from child.below(tag)

    def need(self, name: str) -> str:
        """An attribute that must be there; raises At."""
        value = self.attributes.get(name)
        if value is None:
            raise At(self.line, f"<{self.tag}> has no {name}")
        return value

    def number(self, name: str) -> float:
        """An attribute that is a finite number; raises At."""
        try:
            return number(self.need(name).strip())
        except At:
            raise
        except ValueError as error:
            raise At(self.line, f"{name}: {error}") from None

    def flag(self, name: str) -> bool:
        """An attribute that is 0, 1, true or false; False when it is absent; raises At."""
        value = self.attributes.get(name, "0")
        if value in ("0", "1"):
            return value == "1"
        value = value.strip().lower()
        if value not in ("0", "1", "true", "false"):
            raise At(self.line, f"{name}: '{value[:40]}' is neither 0 nor 1")
        return value in ("1", "true")

    def size(self, name: str) -> int | None:
        """An attribute that is a photo's side in pixels; None where it is absent or 0."""
        if self.attributes.get(name) is None:
            return None
        value = self.number(name)
        if value < 0 or value != int(value):
            raise At(self.line, f"{name} is not a size")
        return int(value) or None


class XmlRecords:
    """The elements of some tags in a file, one after the other.

    texts: tags whose text is wanted, where not that of all; others' stays empty.
    encoding: the one that the file declares, in lower case, or None; known once the first record
    is there. Iterating raises InputError, with the line, for what is not well-formed, has a DTD,
    or has another root.
    """

    def __init__(
        self, path: Path, root: str, tags: Collection[str], texts: Collection[str] | None = None
    ) -> None:
        self.path = path
        self.encoding: str | None = None
        self._root, self._tags = root, frozenset(tags)
        self._texts = None if texts is None else frozenset(texts)
        self._stack: list[Node] = []
        self._ready: list[Node] = []
        self._depth = self._elements = 0
        self._parser = _parser(path)
        self._parser.XmlDeclHandler = self._declared
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        if self._texts is None:
            self._parser.CharacterDataHandler = self._text

    def __iter__(self) -> Iterator[Node]:
        pieces = _feed_all(self._parser, self.path)
        going, problem = True, None
        while going:
            try:
                going = next(pieces, False)
            except InputError as error:
                going, problem = False, error
            ready, self._ready = self._ready, []  # what came whole before the problem is good
            yield from ready
        if problem is not None:
            raise problem

    def _refuse(self, problem: str) -> InputError:
        return InputError(self.path, problem, self._parser.CurrentLineNumber)

    def _declared(self, version: str, encoding: str | None, standalone: int) -> None:
        self.encoding = encoding.lower() if encoding is not None else None

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and tag != self._root:
            raise self._refuse(f"the root is <{tag[:40]}>, not <{self._root}>")
        if not self._stack and tag not in self._tags:
            return
        parser, stack, texts = self._parser, self._stack, self._texts
        node = Node(tag, attributes, parser.CurrentLineNumber)
        self._elements += 1
        if stack:
            stack[-1].children.append(node)
        stack.append(node)
        if self._elements > _MOST_ELEMENTS or len(stack) > _MOST_DEPTH:
            raise self._refuse(f"<{stack[0].tag}> holds too many elements")
        if texts is not None and tag in texts:
            parser.CharacterDataHandler = self._text  # line ends between other tags cost time

    def _end(self, tag: str) -> None:
        self._depth -= 1
        stack, texts = self._stack, self._texts
        if stack:
            node = stack.pop()
            if texts is not None and tag in texts:
                self._parser.CharacterDataHandler = None
            if not stack:
                self._ready.append(node)
                self._elements = 0

    def _text(self, text: str) -> None:
        if self._stack:
            self._stack[-1].text += text
            if len(self._stack[-1].text) > _MOST_BYTES:
                raise self._refuse(f"<{self._stack[-1].tag}> holds too long a text")


def _parser(path: Path) -> expat.XMLParserType:
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def refuse(*_: object) -> None:
        raise InputError(
            path,
            "has a document type (DTD), which these files never have",
            parser.CurrentLineNumber,
            "it may hold entities that fill the memory; remove the <!DOCTYPE ...> if it is yours",
        )

    parser.StartDoctypeDeclHandler = refuse
    return parser


def check_xml(path: Path) -> None:
    """Read a file to its end; raises InputError where it is not well-formed or has a DTD."""
    for _ in _feed_all(_parser(path), path):
        pass


def _feed_all(parser: expat.XMLParserType, path: Path) -> Iterator[bool]:
    """Parse a file piece by piece, yielding True after each; raises InputError.

    Memory does not grow: a tag that goes on for megabytes is refused.
    """
    fed = 0
    try:
        with path.open("rb") as stream:
            while data := stream.read(_CHUNK):
                if not fed and not data.strip() and len(data) < _CHUNK:
                    break
                fed += len(data)
                _feed(parser, path, data)
                if fed - parser.CurrentByteIndex > _MOST_BYTES:
                    line = parser.CurrentLineNumber
                    raise InputError(path, "not a label file: a tag of more than 16 MB", line)
                yield True
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from None
    if not fed:
        raise InputError(path, "the file is empty", 1)
    _feed(parser, path, b"")
    yield True


def _feed(parser: expat.XMLParserType, path: Path, data: bytes) -> None:
    """Parse one piece; raises InputError for what is no XML."""
    try:
        parser.Parse(data, not data)
    except expat.ExpatError as error:
        text = expat.errors.messages.get(error.code, str(error))
        hint = "it looks cut off" if error.code in _CUT else None
        if error.code == expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]:
            hint = "are its letters in the encoding that its first line says (UTF-8 if none)?"
        raise InputError(path, f"not valid XML: {text}", error.lineno, hint) from None
    except (LookupError, ValueError) as error:
        raise InputError(path, f"not valid XML: {error}", parser.CurrentLineNumber) from None


def first_tags(path: Path, count: int = 12) -> list[str]:
    """The tags that an XML file begins with, from its first 64 kB, at most ``count``.

    Raises InputError when there is none.
    """
    parser = _parser(path)
    tags: list[str] = []
    parser.StartElementHandler = lambda tag, _: tags.append(tag)
    try:
        next(_feed_all(parser, path))
    except InputError:
        if not tags:
            raise
    if not tags:
        raise InputError(path, "not XML: no element in it")
    return tags[:count]


def attribute_values(path: Path, tag: str, name: str, most: int | None = None) -> list[str]:
    """The different values of an attribute in all elements of this tag, as they first occur.

    most: how many are enough. One pass without keeping any element; stops where the file is broken,
    for the reading that follows says so better.
    """
    parser = _parser(path)
    values: dict[str, None] = {}

    def start(found: str, attributes: dict[str, str]) -> None:
        if found == tag and name in attributes:
            values.setdefault(attributes[name])

    parser.StartElementHandler = start
    try:
        for _ in _feed_all(parser, path):
            if most is not None and len(values) >= most:
                break
    except InputError:
        pass
    return list(values)[:most]


_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&apos;", '"': "&quot;"}
_NOT_XML = re.compile("[\x00-\x1f\x7f\ufffe\uffff]")
_SPECIAL = re.compile("[&<>'\"]")


def escaped(text: str) -> str:
    """Text as it may stand in an element or in an attribute's quotes of either kind."""
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], text)


def xml_name(name: str, target: Path) -> str:
    """A photo's name or another word as it may stand in quotes; raises OutputError."""
    if not name or name != name.strip() or _NOT_XML.search(name):
        raise OutputError(
            f"{target}: the name {name!r} does not fit in XML", "rename it, or write coco"
        )
    return escaped(name)
