"""A clock that nobody can set and that runs on while the machine sleeps."""

import time

# The BSDs and macOS have no CLOCK_BOOTTIME; there CLOCK_MONOTONIC does not stand still.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def since_boot() -> float:
    """Seconds since some moment in the past, never going back.

    Linux's monotonic clock stands still in a suspended machine: by it, a lease that ran out hours ago would look good
    on waking. Only differences mean anything.
    """
    return time.clock_gettime(_CLOCK)
