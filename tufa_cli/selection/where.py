"""The language of ``--where``: a text becomes a tree of tests, and the tree a text again.

::

    expression = all {"or" all}
    all        = term {"and" term}
    term       = "not" term | "(" expression ")" | test
    test       = name                                     it has one that is not false, 0 or empty
               | name ("==" | "!=") value
               | name ("<" | "<=" | ">" | ">=") number
               | name ("~" | "!~") text                   a pattern: * any text, ? a letter, [ab]
               | name "in" "(" value {"," value} ")"
    name       = word | "@" word | "@" quoted             with @ an attribute, whatever its name
    value      = number | text | "true" | "false" | "none"
    text       = word | quoted                            '...' or "...", a mark in it twice

What the names mean is said in ``faces``. Nothing of it is ever run as Python.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tufa_cli.errors import TufaError

#: The value of "none" is None: what a face does not have.
Value = str | float | bool | None

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<quoted>"(?:[^"]|"")*"|'(?:[^']|'')*')
      | (?P<op>==|!=|<=|>=|!~|[<>~(),@])
      | (?P<word>[+-]?[\w.][\w.+-]*)
    """,
    re.VERBOSE,
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WORD = re.compile(r"[^\W\d][\w.-]*")
_CONSTANTS: dict[str, Value] = {"true": True, "false": False, "none": None}
_RESERVED = {"and", "or", "not", "in", *_CONSTANTS}
_ORDER = ("<", "<=", ">", ">=")
_OPERATORS = ("==", "!=", *_ORDER, "~", "!~", "in")
#: Marks of other languages, and what to write here.
_FOREIGN = {"&&": "and", "&": "and", "||": "or", "|": "or", "=": "==", "!": "not", "=~": "~"}
#: Brackets and nots in one another; a text that has more is no one's wish.
_DEEPEST = 50

_HINT = "docs/selection.md says what an expression may hold"


class WhereError(TufaError):
    """A text that is no expression; ``column`` counts from 1."""

    def __init__(self, problem: str, column: int, hint: str = _HINT) -> None:
        super().__init__(f"column {column} of the expression: {problem}", hint)
        self.column = column


@dataclass(frozen=True)
class Name:
    """What is looked at: a field of faces and photos, or with ``attribute`` only an attribute.

    column: where it stands in the text; two names are the same wherever they stand.
    """

    word: str
    attribute: bool = False
    column: int = field(default=1, compare=False)

    def __str__(self) -> str:
        plain = _WORD.fullmatch(self.word) and self.word.lower() not in _RESERVED
        return ("@" if self.attribute else "") + (self.word if plain else _quoted(self.word))


@dataclass(frozen=True)
class Condition:
    """``name operator values``; an operator of None asks whether there is something."""

    name: Name
    operator: str | None = None
    values: tuple[Value, ...] = ()

    def __str__(self) -> str:
        if self.operator is None:
            return str(self.name)
        words = ", ".join(map(_written, self.values))
        return f"{self.name} {self.operator} " + (f"({words})" if self.operator == "in" else words)


@dataclass(frozen=True)
class Not:
    """The opposite of ``term``."""

    term: Expression

    def __str__(self) -> str:
        return f"not {_within(self.term)}"


@dataclass(frozen=True)
class Junction:
    """All of ``terms`` ("and") or one of them ("or"); two at least."""

    word: str
    terms: tuple[Expression, ...]

    def __str__(self) -> str:
        return f" {self.word} ".join(map(_within, self.terms))


Expression = Condition | Not | Junction


def _within(term: Expression) -> str:
    return f"({term})" if isinstance(term, Junction) else str(term)


def _written(value: Value) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _quoted(value)
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def names_in(expression: Expression) -> Iterator[Condition]:
    """Every test of an expression, from left to right."""
    if isinstance(expression, Condition):
        yield expression
    elif isinstance(expression, Not):
        yield from names_in(expression.term)
    else:
        for term in expression.terms:
            yield from names_in(term)


def parse_where(text: str) -> Expression:
    """The expression that a text says; raises WhereError with the column where it goes wrong."""
    return _Parser(text).whole()


@dataclass(frozen=True)
class _Token:
    kind: str  # "op", "word", "quoted" or "end"
    text: str
    column: int

    def __str__(self) -> str:
        return "the end" if self.kind == "end" else f"'{self.text[:40]}'"

    def says(self, *words: str) -> bool:
        return self.kind == "word" and self.text.lower() in words


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _unreadable(text, at)
        if match.lastgroup != "space":
            yield _Token(str(match.lastgroup), match.group(), at + 1)
        at = match.end()
    yield _Token("end", "", len(text) + 1)


def _unreadable(text: str, at: int) -> WhereError:
    for mark in sorted(_FOREIGN, key=len, reverse=True):
        if text.startswith(mark, at):
            return WhereError(f"'{mark}' is not known here", at + 1, f"write '{_FOREIGN[mark]}'")
    if text[at] in "'\"":
        return WhereError("a quotation mark without its second one", at + 1)
    return WhereError(f"'{text[at]}' has no meaning here", at + 1, "put text with signs in quotes")


class _Parser:
    def __init__(self, text: str) -> None:
        self._ahead = list(_tokens(text))
        self._at = self._depth = 0

    @property
    def _next(self) -> _Token:
        return self._ahead[self._at]

    def _take(self) -> _Token:
        token = self._next
        self._at += 1
        return token

    def _accept(self, mark: str) -> bool:
        found = self._next.kind == "op" and self._next.text == mark
        self._at += found
        return found

    def _fail(self, wanted: str, token: _Token | None = None) -> WhereError:
        token = token or self._next
        return WhereError(f"expected {wanted}, found {token}", token.column)

    def whole(self) -> Expression:
        if self._next.kind == "end":
            raise WhereError("there is nothing in it", 1)
        found = self._junction("or")
        if self._next.kind != "end":
            raise self._fail("'and', 'or' or the end")
        return found

    def _junction(self, word: str) -> Expression:
        terms = []
        while True:
            terms.append(self._junction("and") if word == "or" else self._term())
            if not self._next.says(word):
                return terms[0] if len(terms) == 1 else Junction(word, tuple(terms))
            self._take()

    def _term(self) -> Expression:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise WhereError(f"more than {_DEEPEST} brackets in one another", self._next.column)
        term: Expression
        if self._next.says("not"):
            self._take()
            term = Not(self._term())
        elif self._accept("("):
            term = self._junction("or")
            if not self._accept(")"):
                raise self._fail("')', 'and' or 'or'")
        else:
            term = self._test()
        self._depth -= 1
        return term

    def _test(self) -> Condition:
        name = self._name()
        token = self._next
        operator = token.text.lower() if token.kind in ("op", "word") else None
        if operator not in _OPERATORS:
            if token.kind == "quoted" or (token.kind == "word" and not token.says("and", "or")):
                raise self._fail("an operator (" + " ".join(_OPERATORS) + ")")
            return Condition(name)
        self._take()
        if operator == "in":
            return Condition(name, operator, self._several())
        token = self._next
        value = self._value()
        if operator in _ORDER and (isinstance(value, (str, bool)) or value is None):
            raise self._fail(f"a number after '{operator}'", token)
        if operator in ("~", "!~") and not isinstance(value, str):
            raise self._fail(f"a pattern in quotes after '{operator}'", token)
        return Condition(name, operator, (value,))

    def _name(self) -> Name:
        column = self._next.column
        attribute = self._accept("@")
        token = self._take()
        if attribute and token.kind == "quoted":
            return Name(_unquoted(token), True, column)
        reserved = token.says(*_RESERVED) and not attribute
        if token.kind != "word" or reserved or not _WORD.fullmatch(token.text):
            raise self._fail("a name", token)
        return Name(token.text, attribute, column)

    def _several(self) -> tuple[Value, ...]:
        if not self._accept("("):
            raise self._fail("'(' after 'in'")
        values = [self._value()]
        while self._accept(","):
            values.append(self._value())
        if not self._accept(")"):
            raise self._fail("',' or ')'")
        return tuple(values)

    def _value(self) -> Value:
        token = self._take()
        if token.kind == "quoted":
            return _unquoted(token)
        if token.kind != "word" or token.says("and", "or", "not", "in"):
            raise self._fail("a value", token)
        if token.text.lower() in _CONSTANTS:
            return _CONSTANTS[token.text.lower()]
        if not _NUMBER.fullmatch(token.text):
            return token.text
        number = float(token.text)
        if not math.isfinite(number):
            raise self._fail("a number that is finite", token)
        return number


def _unquoted(token: _Token) -> str:
    mark = token.text[0]
    return token.text[1:-1].replace(mark * 2, mark)
