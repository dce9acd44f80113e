"""``python -m helpers``: make a report of your own table."""

from __future__ import annotations

import sys

from .reporting.command import main

if __name__ == "__main__":
    sys.exit(main())
