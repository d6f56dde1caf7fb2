"""JSON from outside."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omisync.omisell.strict_json import MAX_DEPTH, clean, loads


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"a": [1, 2.5, "\xc3\xa9", null, true]}', {"a": [1, 2.5, "é", None, True]}),
        ("7", 7),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'{"a\\u0000": "b\\u0000c"}', {"a": "bc"}),
        (b'["\\ud800", "\\ud83d\\ude00"]', ["\N{REPLACEMENT CHARACTER}", "\N{GRINNING FACE}"]),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, None),
    ],
)
def test_what_is_read(raw: bytes | str, value: object) -> None:
    assert value is None or loads(raw) == value
    loads(raw)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"NaN", "out of range"),
        (b"-Infinity", "out of range"),
        (b"1e999", "out of range"),
        (b"9" * 5000, "out of range"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nested too deeply"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, "nested too deeply"),
        (b"[" * 200_000, "nested too deeply"),
    ],
)
def test_what_is_not(raw: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        loads(raw)
    assert len(str(caught.value)) < 60  # quotes nothing


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert loads(json.dumps([[1]] * 500)) == [[1]] * 500


@given(st.text())
def test_a_cleaned_text_can_be_stored(text: str) -> None:
    cleaned = clean(text)
    assert "\0" not in cleaned
    cleaned.encode()


@pytest.mark.parametrize(("levels", "taken"), [(64, True), (65, False)])
def test_so_many_levels_are_taken_and_no_more(levels: int, taken: bool) -> None:
    for opened, closed in (("[", "]"), ('{"a":', "}")):
        document = opened * levels + "1" + closed * levels
        if taken:
            assert loads(document) == json.loads(document)
        else:
            with pytest.raises(ValueError, match="nested too deeply"):
                loads(document)
