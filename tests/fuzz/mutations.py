"""Many bodies out of one: what is nearly right, broken a little further, quickly and the same again for a seed."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final

TOKENS: Final[Sequence[bytes]] = (
    *(b"null", b"true", b"-0", b"1e999", b"NaN", b"Infinity", b"9" * 30, b"9" * 5000, b"1.5", b"0x1f", b"1_0"),
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"{" * 70, b"[" * 3000, b'{"a":' * 80),
    *(b"\0", b"\\u0000", b"\\ud800", b"\\udc00\\ud800", b"\xff\xfe", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r\n\r\n"),
    *(b'"data"', b'"event":"order.shipped"', b'"omisell_order_number"', b'"status_id"', b"'; DROP TABLE x; --"),
)
"""What parsers, databases and people stumble over."""


def _cut(body: bytearray, dice: random.Random) -> None:
    begin = dice.randrange(len(body) + 1)
    del body[begin : begin + dice.randrange(1, 30)]


def _flip(body: bytearray, dice: random.Random) -> None:
    if body:
        body[dice.randrange(len(body))] = dice.randrange(256)


def _insert(body: bytearray, dice: random.Random) -> None:
    begin = dice.randrange(len(body) + 1)
    body[begin:begin] = dice.choice(TOKENS)


def _replace(body: bytearray, dice: random.Random) -> None:
    """A value or a piece of one by something else."""
    colons = [place for place, byte in enumerate(body) if byte == ord(":")]
    if colons:
        begin = dice.choice(colons) + 1
        body[begin : begin + dice.randrange(1, 12)] = dice.choice(TOKENS)


def _repeat(body: bytearray, dice: random.Random) -> None:
    begin = dice.randrange(len(body) + 1)
    body[begin:begin] = body[begin : begin + dice.randrange(1, 60)] * dice.randrange(1, 4)


def _swap(body: bytearray, dice: random.Random) -> None:
    """Whatever comes after a place before what came before it."""
    place = dice.randrange(len(body) + 1)
    body[:] = body[place:] + body[:place]


KINDS: Final[Sequence[Callable[[bytearray, random.Random], None]]] = (_cut, _flip, _insert, _replace, _repeat, _swap)
VALUES: Final[Sequence[object]] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1.5,
        2**63,
        -(2**63) - 1,
        10**40,
        1e308,
        "",
        " ",
        "\0",
        "\ud800",
        "9" * 300,
        "7",
        "7.0",
    ),
    *([], {}, [[]], [None], {"": {}}, {"a": 1}, ["A-1"], "A-1", "order.shipped", "order.cancelled", 200, 700),
)
"""What JSON may have in a place where it does not belong."""


def mutations(body: bytes, many: int, dice: random.Random) -> Iterator[bytes]:
    """`many` bodies, the first of them as it is; each of the others has one to three things wrong.

    Of a JSON object two thirds stay JSON with other values in it: bytes alone would hardly get beyond the parser.
    """
    yield body
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    for _ in range(many - 1):
        if isinstance(document, dict) and document and dice.random() < 2 / 3:
            yield json.dumps(_with_another_value(document, dice)).encode()
            continue
        changed = bytearray(body)
        for _ in range(dice.randrange(1, 4)):
            dice.choice(KINDS)(changed, dice)
        yield bytes(changed)


def _with_another_value(value: object, dice: random.Random) -> object:
    """The same with something else somewhere in it, or something missing."""
    if isinstance(value, dict) and value and dice.random() < 0.8:
        key = dice.choice(list(value))
        if dice.random() < 0.1:
            return {name: inner for name, inner in value.items() if name != key}
        return {**value, key: _with_another_value(value[key], dice)}
    if isinstance(value, list) and value and dice.random() < 0.8:
        place = dice.randrange(len(value))
        return [*value[:place], _with_another_value(value[place], dice), *value[place + 1 :]]
    return dice.choice(VALUES)
