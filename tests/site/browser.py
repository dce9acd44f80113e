"""Find a Chromium for the tests of the built site, and install Debian's where that is possible."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]
HOW = (
    "No Chromium found. Install it (Debian: `apt-get install chromium`; elsewhere: "
    "`.venv/bin/playwright install chromium`), or name one with CHROMIUM=/path/to/chromium."
)


def find_browser() -> str | None:
    """Path of a Chromium: $CHROMIUM, one on PATH, or the one that Playwright installed."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named if Path(named).exists() else None
    for name in NAMES:
        if found := shutil.which(name):
            return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


def install() -> str:
    """Return a browser's path, after installing Debian's package as root where none is found."""
    if found := find_browser():
        return found
    if shutil.which("apt-get") and os.geteuid() == 0:
        print("Installing Debian's chromium for the tests of the pages", flush=True)
        quiet = {"check": True, "stdout": subprocess.DEVNULL}
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], env=environment, **quiet)
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], env=environment, **quiet)
    if found := find_browser():
        return found
    raise SystemExit(HOW)


if __name__ == "__main__":
    print(install() if "--install" in sys.argv else find_browser() or HOW)
