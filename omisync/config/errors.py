"""The one error that configuration can end in, naming every fault at once."""

from __future__ import annotations

from collections.abc import Iterable


class ConfigError(Exception):
    """The configuration cannot be used; the command line turns this into exit code 2.

    Attributes:
        faults: one line for each fault: which key, what is wrong, what to do. Never a secret's value.
    """

    def __init__(self, faults: Iterable[str] | str) -> None:
        self.faults: tuple[str, ...] = (faults,) if isinstance(faults, str) else tuple(faults)
        super().__init__("\n".join(self.faults))
