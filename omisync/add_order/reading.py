"""Reads orders out of JSON and JSON Lines, one after another, in memory that does not grow with the file."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TextIO

from omisync.add_order.validation import WHOLE, Fault

CHUNK: Final = 1 << 16
"""Characters read at a time."""
LONGEST: Final = 1 << 22
"""Characters of one order that are read; a large one has some thousand."""
_BETWEEN: Final = " \t\r\n\ufeff"


@dataclass(frozen=True, slots=True)
class Read:
    """One order as it was read, or why it could not be.

    Attributes:
        line: where it begins, from 1.
        order: as parsed.
        fault: what keeps it from being read at all.
    """

    line: int
    order: object = None
    fault: Fault | None = None


def read_orders(stream: TextIO) -> Iterator[Read]:
    """Every order of a file: an object a line, a list of objects, or objects one after another.

    A line of JSON Lines that cannot be read does not hinder the next; in other files it ends the reading.
    """
    first = _next_line(stream)
    number = 1
    while first and not first.strip(_BETWEEN):
        first, number = _next_line(stream), number + 1
    if _is_whole(first):
        yield from _lines(first, number, stream)
    else:
        yield from _Document(stream, first, number).orders()


def _lines(line: str, number: int, stream: TextIO) -> Iterator[Read]:
    while line:
        if len(line) > LONGEST:
            yield Read(number, fault=Fault(WHOLE, f"is longer than {LONGEST} characters"))
            while line and not line.endswith("\n"):
                line = _next_line(stream)
        elif text := line.strip(_BETWEEN):
            try:
                yield Read(number, _decoder.decode(text))
            except (ValueError, RecursionError) as error:
                yield Read(number, fault=_not_json(error))
        line, number = _next_line(stream), number + 1


def _next_line(stream: TextIO) -> str:
    return stream.readline(LONGEST + 1)


def _is_whole(line: str) -> bool:
    """Whether an object stands on this line from its beginning to its end, as in JSON Lines."""
    text = line.strip(_BETWEEN)
    if not text.startswith("{"):
        return False
    try:
        _decoder.decode(text)
    except (ValueError, RecursionError):
        return text.endswith("}")  # one that is broken, not one that goes on
    return True


class _Document:
    """A text of values one after another, in a list or not, read piece by piece."""

    def __init__(self, stream: TextIO, begun: str, line: int) -> None:
        self._stream = stream
        self._text = begun
        self._at = 0
        self._line = line
        self._ended = False

    def orders(self) -> Iterator[Read]:
        in_list = self._peek() == "["
        if in_list:
            self._step(1)
        while (character := self._peek()) not in {"", "]"}:
            line = self._line
            try:
                yield Read(line, self._value())
            except (ValueError, RecursionError) as error:
                yield Read(self._line, fault=_not_json(error))
                return
            if self._peek() == ",":
                self._step(1)
            elif in_list and self._peek() not in {"]", ""}:
                yield Read(self._line, fault=Fault(WHOLE, "not JSON: expected a comma between two orders"))
                return
        if in_list and character == "":
            yield Read(self._line, fault=Fault(WHOLE, "not JSON: the list does not end"))

    def _peek(self) -> str:
        """The next character that says something; "" at the end."""
        while True:
            while self._at < len(self._text):
                if (character := self._text[self._at]) not in _BETWEEN:
                    return character
                self._step(1)
            if not self._more():
                return ""

    def _value(self) -> Any:
        while True:
            try:
                value, end = _decoder.raw_decode(self._text, self._at)
            except ValueError:
                # it may go on in the next piece
                if len(self._text) - self._at > LONGEST or not self._more():
                    raise
                continue
            if end == len(self._text) and self._more():
                continue  # a number may go on
            self._step(end - self._at)
            return value

    def _more(self) -> bool:
        piece = "" if self._ended else self._stream.read(CHUNK)
        self._ended = not piece
        self._text = self._text[self._at :] + piece
        self._at = 0
        return bool(piece)

    def _step(self, characters: int) -> None:
        self._line += self._text.count("\n", self._at, self._at + characters)
        self._at += characters


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


_decoder = json.JSONDecoder(parse_constant=_no_constant)


def _not_json(error: ValueError | RecursionError) -> Fault:
    if isinstance(error, RecursionError):
        return Fault(WHOLE, "not JSON: nested too deep")
    if isinstance(error, json.JSONDecodeError):
        return Fault(WHOLE, f"not JSON: {error.msg} (character {error.colno})")
    return Fault(WHOLE, f"not JSON: {error}")
