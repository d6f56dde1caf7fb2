"""Finds order numbers that come twice among many orders, in little memory and with a bound to it."""

import secrets
from array import array
from hashlib import blake2b
from typing import Final

MOST: Final = 1_000_000
"""Order numbers that are remembered, with their lines in 32 MiB; 100,000 take 4."""
_FIRST_SLOTS: Final = 1 << 12


class Repeats:
    """Remembers of each order number 64 bits of a hash and the line it stood in: 32 to 64 bytes, not the number.

    That two different numbers are taken for one has, among a million, a chance of 1 in 40 million.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(16)  # nobody can make numbers up that collide
        self._hashes = array("Q", bytes(8 * _FIRST_SLOTS))
        self._lines = array("Q", bytes(8 * _FIRST_SLOTS))
        self._count = 0

    @property
    def full(self) -> bool:
        """Whether no further number is remembered."""
        return self._count >= MOST

    def first_line(self, order_number: str, line: int) -> int | None:
        """The line of the same number before; None if this is the first, which is remembered from now on."""
        digest = blake2b(order_number.encode("utf-8", "surrogatepass"), digest_size=8, key=self._key).digest()
        wanted = int.from_bytes(digest, "little") or 1
        slot = self._slot(wanted)
        if self._hashes[slot]:
            return self._lines[slot]
        if self.full:
            return None
        self._hashes[slot], self._lines[slot] = wanted, line
        self._count += 1
        if self._count * 2 > len(self._hashes):
            self._grow()
        return None

    def _slot(self, wanted: int) -> int:
        """Where the hash stands, or the free place where it would."""
        mask = len(self._hashes) - 1
        slot = wanted & mask
        while self._hashes[slot] not in {0, wanted}:
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        hashes, lines = self._hashes, self._lines
        slots = 2 * len(hashes)
        self._hashes = array("Q", bytes(8 * slots))
        self._lines = array("Q", bytes(8 * slots))
        for place, wanted in enumerate(hashes):
            if wanted:
                slot = self._slot(wanted)
                self._hashes[slot], self._lines[slot] = wanted, lines[place]
