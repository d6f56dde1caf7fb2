"""The doctor, `omisync check`: looks at everything the daemon depends on and says what to do about what is wrong.

It changes nothing, and costs Omisell two calls, or three where the database keeps no token yet.
"""

from omisync.checkup.examine import examine
from omisync.checkup.verdict import Check, State

__all__ = ["Check", "State", "examine"]
