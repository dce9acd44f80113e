"""Measure the built pages: axe, markup, Lighthouse, weight, requests, tasks (``make audit``).

The pages are served over HTTP from this machine with gzip, as a host would serve them. axe looks
at every page in light and dark, 320 and 1280 pixels wide. Lighthouse simulates its slow phone
(mobile) and its desktop: network and processor are computed from a run without either. A speed
below the mark is the median of three runs. The longest task is that of a page which opens and is
read to its end on a processor four times as slow. The Nu validator reads every page (it needs a
Java runtime).
"""

from __future__ import annotations

import argparse
import gzip
import json
import mimetypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

from accessibility import THEMES, faults
from browser import ARGUMENTS, HOW, find_browser
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(os.environ.get("SITE") or ROOT / "_build" / "html").resolve()
TOOLS = ROOT / "_build" / "audit"
HEAVIEST = 600_000  # bytes of a first load, unpacked
LONGEST = 200  # milliseconds of a task, on a processor SLOWER times as slow
SLOWER = 4
TIMES = 3  # runs of a task
LOWEST = {"performance": 98, "accessibility": 100, "best-practices": 100, "seo": 100}
PACKED = (".html", ".css", ".js", ".svg", ".json", ".ipynb", ".txt")


@dataclass
class Measures:
    """What was measured on a page."""

    violations: dict[str, int] = field(default_factory=dict)  # of each axe rule, elements
    requests: int = 0
    weight: int = 0
    wire: int = 0
    scores: dict[str, dict[str, int]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    task: int = 0
    markup: list[str] = field(default_factory=list)

    def faults(self) -> list[str]:
        """What is below the mark."""
        found = [f"axe {rule}: {count} elements" for rule, count in self.violations.items()]
        if self.weight > HEAVIEST:
            found.append(f"{self.weight / 1e6:.2f} MB")
        if self.task > LONGEST:
            found.append(f"a task of {self.task} ms")
        found += [f"markup: {fault}" for fault in self.markup]
        for form, scores in self.scores.items():
            least = LOWEST if form == "mobile" else dict.fromkeys(LOWEST, 100)
            found += [f"{form} {k} {v}" for k, v in scores.items() if v < least[k]]
        return found + sorted(self.failed)


class _Handler(BaseHTTPRequestHandler):
    """Files of the site, packed where a host would pack them."""

    protocol_version = "HTTP/1.1"
    root: Path

    def do_GET(self) -> None:
        path = self.root / unquote(urlsplit(self.path).path).lstrip("/")
        if path.is_dir():
            path = path / "index.html"
        if not path.resolve().is_relative_to(self.root) or not path.is_file():
            self.send_error(404)
            return
        body = path.read_bytes()
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8" if "text" in kind else kind)
        self.send_header("Cache-Control", "max-age=600")
        if path.suffix in PACKED and "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, 6)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent; the table says what matters."""


@contextmanager
def served(site: Path) -> Iterator[str]:
    """Serve a folder on a free port; give its address."""
    handler = type("Handler", (_Handler,), {"root": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def pages_of(site: Path) -> list[str]:
    """Every page of a built site."""
    return sorted(
        p.relative_to(site).as_posix()
        for p in site.rglob("*.html")
        if not {"_static", "_sources"} & set(p.relative_to(site).parts)
    )


def axe_violations(browser: Browser, address: str) -> dict[str, int]:
    """Elements that break a rule of axe, of the theme where they are more."""
    found: dict[str, int] = {}
    for theme in THEMES:
        context = browser.new_context(color_scheme=theme, reduced_motion="reduce")
        page = context.new_page()
        page.goto(address, wait_until="load")
        for rule, elements in faults(page).items():
            found[rule] = max(found.get(rule, 0), len(elements))
            if os.environ.get("VERBOSE"):
                print(
                    *(f"{address} {theme} {rule} {e}" for e in elements), sep="\n", file=sys.stderr
                )
        context.close()
    return found


def first_load(browser: Browser, address: str) -> tuple[int, int, int]:
    """Requests, bytes unpacked and bytes over the wire when a page is opened for the first time."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    data: list[int] = []
    wire: list[int] = []
    asked: set[str] = set()
    session.on("Network.requestWillBeSent", lambda e: asked.add(e["request"]["url"]))
    session.on("Network.dataReceived", lambda e: data.append(e["dataLength"]))
    session.on("Network.loadingFinished", lambda e: wire.append(e["encodedDataLength"]))
    page.goto(address, wait_until="networkidle")
    context.close()
    requests = sum(not url.startswith("data:") for url in asked)  # icons are part of the sheet
    return requests, sum(data), int(sum(wire))


def longest_task(browser: Browser, address: str) -> int:
    """Milliseconds of the longest task while a page opens and is read to its end, on a slow phone.

    By the trace, in time of the processor, and the least of some runs: other work on the machine
    makes a task longer, by half and more, and none shorter.
    """
    return round(min(_longest_task(browser, address) for _ in range(TIMES)))


def _longest_task(browser: Browser, address: str) -> float:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    browser.start_tracing(page=page, categories=["devtools.timeline", "toplevel"])
    page.goto(address, wait_until="networkidle")
    # not by Playwright, whose own script would be the longest task
    session = context.new_cdp_session(page)
    session.send("Runtime.evaluate", {"expression": "scrollTo(0, document.body.scrollHeight)"})
    page.wait_for_timeout(1000)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    context.close()
    # the browser's own pages, such as the field of its address, have processes as well
    own = {
        event["pid"]
        for event in events
        if event["name"] == "CommitLoad" and event["args"]["data"]["url"] == address
    }
    main = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name"
        and event["args"]["name"] == "CrRendererMain"
        and event["pid"] in own
    }
    tasks = [
        event["tdur"]
        for event in events
        if event["name"].endswith("RunTask")
        and (event["pid"], event["tid"]) in main
        and "tdur" in event
    ]
    return float(SLOWER * max(tasks) / 1000)


def markup_faults(pages: list[str]) -> dict[str, list[str]]:
    """What the Nu HTML validator says of each page."""
    java = shutil.which("java")
    if java is None:
        raise SystemExit(
            "The Nu validator needs Java (Debian: apt-get install default-jre-headless)"
        )
    jar = TOOLS / "node_modules" / "vnu-jar" / "build" / "dist" / "vnu.jar"
    options = ["--errors-only", "--format", "json", "--exit-zero-always"]
    command = [java, "-Xss8m", "-jar", str(jar), *options, *(str(SITE / page) for page in pages)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = {}
    for message in json.loads(done.stderr)["messages"]:
        page = Path(unquote(urlsplit(message["url"]).path)).relative_to(SITE).as_posix()
        found.setdefault(page, []).append(message["message"])
    return found


def lighthouse(origin: str, chromium: str, pages: list[str]) -> Iterator[dict[str, Any]]:
    """Scores of each page and form factor."""
    script = Path(__file__).parent / "audit" / "lighthouse.mjs"
    command = ["node", str(script), origin, chromium, *pages]
    with subprocess.Popen(command, cwd=TOOLS, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        raise SystemExit(f"Lighthouse ended with status {process.returncode}")


def measured(pages: list[str], *, with_lighthouse: bool) -> dict[str, Measures]:
    """Measure pages."""
    chromium = find_browser()
    if chromium is None:
        raise SystemExit(HOW)
    found = {page: Measures() for page in pages}
    for page, faults_of_page in markup_faults(pages).items():
        found[page].markup = faults_of_page
    with served(SITE) as origin:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
            for page, measures in found.items():
                address = f"{origin}/{page}"
                measures.requests, measures.weight, measures.wire = first_load(browser, address)
                measures.violations = axe_violations(browser, address)
                measures.task = longest_task(browser, address)
                print(
                    f"  {page}: axe {sum(measures.violations.values())}, a task of "
                    f"{measures.task} ms",
                    file=sys.stderr,
                    flush=True,
                )
            browser.close()
        if with_lighthouse:
            for run in lighthouse(origin, chromium, pages):
                if run.get("runtimeError"):
                    raise SystemExit(f"{run['page']}: {run['runtimeError']}")
                found[run["page"]].scores[run["form"]] = run["scores"]
                found[run["page"]].failed.update(run["failed"])
                print(
                    f"  {run['page']} {run['form']}: LCP {run['lcp']:.0f} ms, TBT {run['tbt']:.0f}"
                    f" ms, CLS {run['cls']:g}",
                    file=sys.stderr,
                    flush=True,
                )
    return found


def report(found: dict[str, Measures]) -> str:
    """The measures as a table of text."""
    wide = max(map(len, found), default=4)
    head = f"{'page':{wide}}  {'axe':>4} {'kB':>6} {'gzip':>6} {'req':>4} {'ms':>4} {'Nu':>3}"
    lines = [f"{head}  {'mobile P/A/B/S':17}  desktop P/A/B/S"]
    for page, m in found.items():
        scores = "  ".join(
            f"{'/'.join(str(m.scores[form][k]) for k in LOWEST) if form in m.scores else '-':17}"
            for form in ("mobile", "desktop")
        )
        lines.append(
            f"{page:{wide}}  {sum(m.violations.values()):4d} {m.weight / 1e3:6.0f} "
            f"{m.wire / 1e3:6.0f} {m.requests:4d} {m.task:4d} {len(m.markup):3d}  {scores}"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the measures; 1 when a page is below the mark."""
    parser = argparse.ArgumentParser(prog="make audit", description=main.__doc__)
    parser.add_argument("pages", nargs="*", help="pages such as pooling.html; all by default")
    parser.add_argument("--no-lighthouse", action="store_true", help="all but Lighthouse")
    options = parser.parse_args(arguments)
    pages = options.pages or pages_of(SITE)
    if not pages:
        raise SystemExit("there is no built site: run `make book` first")
    found = measured(pages, with_lighthouse=not options.no_lighthouse)
    print(
        "Served from this machine with gzip; axe: light and dark at 320 and 1280 px, every "
        "disclosure open; ms: longest task on a phone with a processor four times as slow; Nu: "
        "errors of the markup; Lighthouse: simulated phone and desktop."
    )
    print(report(found))
    faults = [(page, fault) for page, m in found.items() for fault in m.faults()]
    for page, fault in faults:
        print(f"{page}: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
