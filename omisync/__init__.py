"""omisync: the daemon between a self-built shop on Postgres and Omisell."""

from typing import Any


def __getattr__(name: str) -> Any:
    # Looked up when it is asked for: reading a package's metadata takes a third of `omisync --help`'s time.
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 (see above)

        return version("omisync")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
