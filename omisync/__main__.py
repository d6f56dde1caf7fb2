"""`python -m omisync`: the same program as the `omisync` command."""

import sys

from omisync.cli import main

if __name__ == "__main__":
    sys.exit(main())
