"""What is left of a name when case, accents, Unicode forms and punctuation are taken away, step by step.

Three keys, from fine to coarse: `toned` tells "Thạnh An" from "Thanh An" but not "Hoà" from "Hòa" nor "Mỹ" from "Mĩ";
`plain` tells neither; `joined` is plain without blanks ("hanoi").
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

SYLLABLES: Final = 16_384
"""Words kept folded: place names of a whole country are made of a few thousand."""

_TONES: Final = frozenset("\u0300\u0301\u0303\u0309\u0323")
_MARKS: Final = re.compile("[\u0300-\u036f]")
_APOSTROPHES: Final = re.compile("['’‘ʼ`´]")
_NO_WORD: Final = re.compile(r"[^\w\u0300-\u036f\u0e00-\u0e7f]+|_+")  # Thai vowel signs are part of a word
_UNSEEN: Final = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff]")  # soft hyphens, joiners, directions
_CROSSED_D: Final = str.maketrans({"ð": "đ", "ɖ": "đ"})
_FINAL_Y: Final = re.compile(r"(^|[bcdđghklmnprstvx]|qu)y$")  # Mỹ and Mĩ, Quý and Quí; not Thủy nor Tây
_GLUED: Final = re.compile(r"([a-z]+)(\d+)")


def words(text: str) -> list[str]:
    """The words of a name in lower case, decomposed: numbers without leading zeros, "Q1" in two.

    Accents stay; see `toned` and `plain`.
    """
    text = unicodedata.normalize("NFKC", _UNSEEN.sub("", text)).casefold()
    text = unicodedata.normalize("NFD", _APOSTROPHES.sub("", text).translate(_CROSSED_D))
    found: list[str] = []
    for word in _NO_WORD.sub(" ", text).split():
        glued = _GLUED.fullmatch(word)
        found += [_number(part) for part in (glued.groups() if glued else (word,))]
    return found


def _number(word: str) -> str:
    return str(int(word)) if word.isascii() and word.isdigit() and len(word) <= 9 else word


def toned(of: Sequence[str]) -> str:
    """The words with their accents, each tone at the end of its syllable, where old and new spelling agree."""
    return " ".join([_toned(word) for word in of])


@lru_cache(SYLLABLES)
def _toned(word: str) -> str:
    letters = "".join(each for each in word if each not in _TONES)
    tones = "".join(each for each in word if each in _TONES)
    return _FINAL_Y.sub(r"\1i", letters) + tones


def plain(of: Sequence[str]) -> str:
    """The words without any accent."""
    return " ".join([_plain(word) for word in of])


@lru_cache(SYLLABLES)
def _plain(word: str) -> str:
    return _FINAL_Y.sub(r"\1i", _MARKS.sub("", word).replace("đ", "d"))


def joined(of: Sequence[str]) -> str:
    """The words without any accent and without blanks."""
    return plain(of).replace(" ", "")


def accented(of: Sequence[str]) -> bool:
    """Whether anything in the words carries an accent: if nothing does, its lack says nothing."""
    return any("đ" in word or _MARKS.search(word) for word in of)
