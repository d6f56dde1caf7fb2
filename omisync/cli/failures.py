"""Which exit code an error means, and the words for it."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable

FAILED = 1
USAGE = 2
UNREACHABLE = 3
INTERRUPTED = 130

T = TypeVar("T", bound=BaseException)


class CommandFailed(Exception):
    """The work failed; the message says what, where, what to do."""


class OutOfReach(CommandFailed):
    """The work failed because the database or Omisell could not be reached."""


class WrongUsage(Exception):
    """The command was called in a way that makes no sense; the message says how to call it."""


def help_instead(error: BaseException) -> str | None:
    """The help text, where a group of commands was called without one of them."""
    if type(error).__name__ == "NoArgsIsHelpError" and isinstance(error, _ClickError):
        return error.format_message()
    return None


@runtime_checkable
class _ClickError(Protocol):
    """An error of the command-line library, which some versions of typer keep in a private module."""

    exit_code: int

    def format_message(self) -> str:
        """The words for the user."""
        ...


def failure(error: BaseException) -> tuple[int, str]:
    """The exit code and the words for whatever ended a command.

    Only modules that the command itself has loaded are looked at: an error of a module that was never
    imported cannot have been raised.
    """
    if isinstance(error, BaseExceptionGroup):
        return failure(error.exceptions[0])
    for judge in (_own, _configuration, _store, _omisell, _listening):
        if (verdict := judge(error)) is not None:
            return verdict
    if isinstance(error, OSError):
        return FAILED, _os_words(error)
    return (
        FAILED,
        f"internal error: {type(error).__name__}: {_one_line(error)} (run again with --debug for the details)",
    )


def _own(error: BaseException) -> tuple[int, str] | None:
    match error:
        case WrongUsage():
            return USAGE, str(error)
        case OutOfReach():
            return UNREACHABLE, str(error)
        case CommandFailed():
            return FAILED, str(error)
        case _ClickError():
            context = getattr(error, "ctx", None)
            where = f" (see {context.command_path} --help)" if context else ""
            # "Value error, " is a library's way of saying who found it
            return error.exit_code, f"{_one_line(error.format_message()).replace('Value error, ', '')}{where}"
        case _ if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":  # typer's, in a prompt
            return INTERRUPTED, "interrupted"
    return None


def _configuration(error: BaseException) -> tuple[int, str] | None:
    kind = _loaded("omisync.config", "ConfigError")
    return (USAGE, str(error)) if kind and isinstance(error, kind) else None


def _store(error: BaseException) -> tuple[int, str] | None:
    kind = _loaded("omisync.store", "StoreError")
    if kind is None or not isinstance(error, kind):
        return None
    return (UNREACHABLE if _is_out_of_reach(error) else FAILED), _one_line(error)


def _is_out_of_reach(error: BaseException) -> bool:
    """Whether a store's error means that no work with the database was possible at all."""
    unavailable = _loaded("omisync.store", "StoreUnavailable")
    if unavailable and isinstance(error, unavailable):
        return True
    # SQLSTATE class 28: the user is not let in; 3D: there is no such database.
    state = getattr(error.__cause__, "sqlstate", None)
    return isinstance(state, str) and state[:2] in {"28", "3D"}


def _omisell(error: BaseException) -> tuple[int, str] | None:
    kind = _loaded("omisync.omisell", "OmisellError")
    if kind is None or not isinstance(error, kind):
        return None
    away, throttled = (_loaded("omisync.omisell", name) for name in ("Unavailable", "Throttled"))
    is_away = away is not None and isinstance(error, away)
    code = UNREACHABLE if is_away or (throttled and isinstance(error, throttled)) else FAILED
    words: Callable[[], str] | None = getattr(error, "words", None)
    said = f": {_one_line(words())}" if words else ""
    advice = "; check omisell.base_url and the network, or let `omisync check` look" if is_away else ""
    return code, f"{_one_line(error)}{said}{advice}"


def _listening(error: BaseException) -> tuple[int, str] | None:
    kind = _loaded("omisync.web", "ListenError")
    return (FAILED, _one_line(error)) if kind and isinstance(error, kind) else None


def _loaded(module: str, name: str) -> type[BaseException] | None:
    return getattr(sys.modules.get(module), name, None)


def _os_words(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    known = error.errno in errno.errorcode if error.errno is not None else False
    return f"{place}{_one_line(error) if error.strerror or not known else os.strerror(error.errno or 0)}"


def _one_line(what: object) -> str:
    return " ".join(str(what).split()) or type(what).__name__
