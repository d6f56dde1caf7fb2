"""`python -m omisync`: the same program as the `omisync` command."""

from omisync.cli import main

if __name__ == "__main__":
    main()
