"""``python -m helpers.evidence``: renew size and checksum of each table; ``--check`` compares."""

from __future__ import annotations

import argparse
import sys

from .package import refresh


def main(arguments: list[str] | None = None) -> int:
    """Run the command; status 1 when ``--check`` finds an entry out of date."""
    parser = argparse.ArgumentParser(prog="python -m helpers.evidence", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare, write nothing")
    options = parser.parse_args(arguments)
    stale = refresh(write=not options.check)
    word = "out of date" if options.check else "renewed"
    for name in stale:
        print(f"{word}: {name}")
    return int(options.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
