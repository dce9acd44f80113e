"""Find the browsers of the tests of the built site, and install Debian's where that is possible.

Chromium must be there. What has no Firefox or no WebKit is tested without, and the summary of the
run says so; a run that must not do without names them: ``BROWSERS="chromium firefox webkit"``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

#: The first is Chromium without its windows: the same pages for a third of the processor's time.
#: A whole Chromium draws a side bar and a toolbar for each context, seen or not.
NAMES = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]
HOW = (
    "No Chromium found. Install it (Debian: `apt-get install chromium-headless-shell`; elsewhere: "
    "`.venv/bin/playwright install chromium`), or name one with CHROMIUM=/path/to/chromium."
)
PACKAGES = {
    "chromium": ("chromium-headless-shell",),
    "firefox": ("firefox-esr",),
    "webkit": ("webkit2gtk-driver", "xvfb"),
}
MINI_BROWSER = "*/webkit*gtk-*/MiniBrowser"  # in /usr/lib, on no PATH


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


def find_firefox() -> str | None:
    """Path of a Firefox: $FIREFOX or one on PATH."""
    named = os.environ.get("FIREFOX")
    if named:
        return named if Path(named).exists() else None
    return shutil.which("firefox-esr") or shutil.which("firefox")


def find_webkit() -> tuple[str, str, str] | None:
    """Paths of WebKitGTK's small browser, of its driver, and of a screen to show it on."""
    browser = next(iter(sorted(Path("/usr/lib").glob(MINI_BROWSER))), None)
    driver, screen = shutil.which("WebKitWebDriver"), shutil.which("Xvfb")
    return (str(browser), driver, screen) if browser and driver and screen else None


FINDERS: dict[str, Callable[[], object]] = {
    "chromium": find_browser,
    "firefox": find_firefox,
    "webkit": find_webkit,
}


def wanted() -> list[str]:
    """Browsers that a run tests: those of $BROWSERS, found or not, else all that are found."""
    if named := os.environ.get("BROWSERS"):
        if unknown := set(named.split()) - set(FINDERS):
            raise SystemExit(
                f"BROWSERS names {', '.join(sorted(unknown))}; known: {', '.join(FINDERS)}"
            )
        return named.split()
    return [name for name, find in FINDERS.items() if find()]


def how(name: str) -> str:
    """Say that a browser was not found, and how it is installed."""
    return f"not found (Debian: apt-get install {' '.join(PACKAGES[name])})"


def missing() -> list[str]:
    """Say of each browser that a run does not test, why and how it would."""
    tested = wanted()
    return [
        f"NOT TESTED in {name}: {'BROWSERS does not name it' if FINDERS[name]() else how(name)}"
        for name in FINDERS
        if name not in tested
    ]


def _apt() -> list[str] | None:
    """How packages are installed here, by root or one who may act as root without a password."""
    if not shutil.which("apt-get"):
        return None
    if os.geteuid() == 0:
        return ["apt-get"]
    asked = ["sudo", "-n", "true"]
    if (
        shutil.which("sudo")
        and subprocess.run(asked, capture_output=True, check=False).returncode == 0
    ):
        return ["sudo", "-n", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    return None


def install(names: list[str]) -> str:
    """Return a Chromium's path, after installing what Debian has of the browsers not found."""
    absent = [name for name in names if not FINDERS[name]()]
    apt = _apt() if absent else None
    if apt:
        print(f"Installing {', '.join(absent)} for the tests of the pages", file=sys.stderr)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}

        def run(*command: str) -> bool:
            patient = [*apt, "-o", "DPkg::Lock::Timeout=300", *command]
            done = subprocess.run(patient, env=environment, stdout=sys.stderr, check=False)
            return done.returncode == 0

        run("update", "-qq")
        for name in absent:
            if not run("install", "-y", "-qq", "--no-install-recommends", *PACKAGES[name]):
                print(f"{name} could not be installed", file=sys.stderr)
    if found := find_browser():
        return found
    raise SystemExit(HOW)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--install"]:
        print(install(sys.argv[2:] or list(FINDERS)))
    else:
        print(find_browser() or HOW)
