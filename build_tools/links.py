"""Ask every address outside the built site whether it is still there (``make links``).

A host that refuses machines (403, 429) says nothing about its page, and is counted apart; what is
gone, or whose host is gone, ends the run with status 1.
"""

from __future__ import annotations

import re
import sys
import urllib.request
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urldefrag

SITE = Path(__file__).resolve().parents[1] / "_build" / "html"
LINK = re.compile(r'<a\b[^>]*?\shref="(https?://[^"]+)"')
REFUSED = {401, 403, 405, 406, 418, 429, 503, 999}
SECONDS = 30
TRIES = 3


def links_of(pages: Iterable[Path]) -> dict[str, list[str]]:
    """Addresses outside, without the place on their page, and the pages that have them."""
    found: dict[str, set[str]] = {}
    for page in pages:
        for address in LINK.findall(page.read_text(encoding="utf-8")):
            found.setdefault(urldefrag(unescape(address)).url, set()).add(page.name)
    return {address: sorted(names) for address, names in sorted(found.items())}


def state_of(address: str) -> str:
    """Say ``there``, ``refused``, or what is wrong with an address."""
    request = urllib.request.Request(address, headers={"User-Agent": "Mozilla/5.0 (link check)"})
    wrong = ""
    for _ in range(TRIES):
        try:
            with urllib.request.urlopen(request, timeout=SECONDS):
                return "there"
        except HTTPError as answer:
            if answer.code in REFUSED:
                return "refused"
            wrong = f"status {answer.code}"
        except (URLError, TimeoutError, ConnectionError) as fault:
            wrong = str(getattr(fault, "reason", fault))
    return wrong


def main() -> int:
    """Print what is gone, and how many answered."""
    links = links_of(sorted(SITE.rglob("*.html")))
    if not links:
        raise SystemExit("there is no built site with links in _build/html: run `make book` first")
    with ThreadPoolExecutor(8) as threads:
        states = dict(zip(links, threads.map(state_of, links), strict=True))
    gone = {
        address: state for address, state in states.items() if state not in {"there", "refused"}
    }
    for address, state in gone.items():
        print(f"{address}: {state} (on {', '.join(links[address])})")
    refused = sum(state == "refused" for state in states.values())
    print(
        f"{len(links)} addresses: {len(gone)} gone, {refused} refuse machines, the others are there"
    )
    return 1 if gone else 0


if __name__ == "__main__":
    sys.exit(main())
