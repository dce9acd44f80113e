"""Firefox and WebKit for the tests of the built site: a page, a script in it, keys.

Playwright drives Chromium, and of the others only builds of its own, which no Debian has. Firefox
speaks WebDriver BiDi by itself; WebKit's driver speaks WebDriver. Both take the same key actions,
so a browser is three methods here: `go`, `run`, `press`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import websocket
from browser import find_firefox, find_webkit

LISTENS = "0A"  # a socket, in Linux's list of them
SECONDS = 300  # for one command; Python starts in a page within it
KEYS = {
    "ArrowDown": "\ue015",
    "ArrowLeft": "\ue012",
    "ArrowRight": "\ue014",
    "ArrowUp": "\ue013",
    "Control": "\ue009",
    "Enter": "\ue007",
    "Escape": "\ue00c",
    "Tab": "\ue004",
}
PREFERENCES = {
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.enabled": False,
    "ui.prefersReducedMotion": 1,
}


class BrowserError(Exception):
    """What a browser answers to a command that it did not carry out."""


class Driver:
    """A browser with one page."""

    name: str

    def __init__(self, go: Callable[[str], Any], run: Callable, act: Callable) -> None:
        self.go = go
        self._run, self._act = run, act

    def run(self, body: str, *arguments: Any) -> Any:
        """Value of an asynchronous function's body in the page; `a` and `b` are its arguments."""
        return json.loads(self._run(body, json.dumps(arguments)))

    def press(self, *keys: str) -> None:
        """Press keys, named or letters, one after another; ``Control+k`` holds the first."""
        actions = []
        for key in keys:
            held = [KEYS.get(one, one) for one in (key.split("+") if len(key) > 1 else [key])]
            actions += [{"type": "keyDown", "value": one} for one in held]
            actions += [{"type": "keyUp", "value": one} for one in reversed(held)]
        self._act([{"type": "key", "id": "keyboard", "actions": actions}])

    def wait(self, condition: str, seconds: float = 30) -> None:
        """Wait until an expression in the page is true."""
        end = time.monotonic() + seconds
        while not self.run(f"return Boolean({condition})"):
            if time.monotonic() > end:
                raise TimeoutError(f"{condition} is not true after {seconds} s")
            time.sleep(0.05)


@contextmanager
def _process(command: list[str], **options: Any) -> Iterator[subprocess.Popen]:
    """Start a process, and end it with all that it started."""
    process = subprocess.Popen(command, start_new_session=True, **options)
    try:
        yield process
    finally:
        try:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(10)
        except ProcessLookupError:
            pass
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


@contextmanager
def _folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="book-browser-"))
    try:
        yield made
    finally:  # a browser that ends may still write into its profile
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def firefox() -> Iterator[Driver]:
    """Firefox without a window, by WebDriver BiDi."""
    with ExitStack() as stack:
        profile = stack.enter_context(_folder())
        lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in PREFERENCES.items()]
        (profile / "user.js").write_text("\n".join(lines), encoding="utf-8")
        command = [str(find_firefox()), "--headless", "--no-remote", "--profile", str(profile)]
        said = profile / "said.txt"  # a pipe that nobody reads on would be full one day, and wait
        options = {"stdout": subprocess.DEVNULL, "stderr": stack.enter_context(said.open("wb"))}
        process = stack.enter_context(
            _process([*command, "--remote-debugging-port", "0"], **options)
        )
        while not (found := re.search(rb"BiDi listening on (ws://\S+)\n", said.read_bytes())):
            if process.poll() is not None:
                raise BrowserError(f"Firefox ended before it listened: {said.read_text()}")
            time.sleep(0.05)
        wire = websocket.create_connection(
            f"{found[1].decode()}/session", timeout=SECONDS, suppress_origin=True
        )
        stack.callback(wire.close)

        def command_of(method: str, **parameters: Any) -> dict[str, Any]:
            wire.send(json.dumps({"id": 1, "method": method, "params": parameters}))
            while (answer := json.loads(wire.recv())).get("id") != 1:
                pass  # an event of the browser
            if answer["type"] == "error":
                raise BrowserError(f"{answer['error']}: {answer['message']}")
            return answer["result"]

        command_of("session.new", capabilities={})
        # the tab of the start has its focus beside the page, where Enter presses no button
        page = command_of("browsingContext.create", type="tab")["context"]

        def run(body: str, arguments: str) -> str:
            answer = command_of(
                "script.callFunction",
                functionDeclaration="async (given) => { const [a, b] = JSON.parse(given);"
                f" const body = async () => {{ {body} }};"
                " return JSON.stringify((await body()) ?? null) }",
                arguments=[{"type": "string", "value": arguments}],
                awaitPromise=True,
                target={"context": page},
            )
            if answer["type"] != "success":
                raise BrowserError(answer["exceptionDetails"]["text"])
            return answer["result"]["value"]

        yield Driver(
            lambda url: command_of(
                "browsingContext.navigate", context=page, url=url, wait="complete"
            ),
            run,
            lambda actions: command_of("input.performActions", context=page, actions=actions),
        )


def _port_of(process: subprocess.Popen) -> int:
    """Port that a process listens on and has chosen: one chosen for it may be taken meanwhile."""
    place = Path("/proc", str(process.pid))
    while process.poll() is None:
        with suppress(FileNotFoundError):  # what it opened it may close while we read
            mine = {str(one.readlink()) for one in (place / "fd").iterdir()}
            for line in (place / "net" / "tcp").read_text().splitlines()[1:]:
                _, local, _, state, *_, inode = line.split()[:10]
                if state == LISTENS and f"socket:[{inode}]" in mine:
                    return int(local.partition(":")[2], 16)
        time.sleep(0.05)
    raise BrowserError("WebKit's driver ended before it listened")


@contextmanager
def webkit() -> Iterator[Driver]:
    """WebKitGTK's small browser, on a screen of its own, by WebDriver."""
    with ExitStack() as stack:
        browser, driver, screen = find_webkit()
        reading, writing = os.pipe()
        options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        wanted = ["-displayfd", str(writing), "-screen", "0", "1300x1000x24", "-nolisten", "tcp"]
        stack.enter_context(_process([screen, *wanted], pass_fds=[writing], **options))
        os.close(writing)
        with os.fdopen(reading) as pipe:
            display = pipe.readline().strip()
        if not display:
            raise BrowserError("Xvfb did not start")
        environment = {
            **os.environ,
            "DISPLAY": f":{display}",
            "GDK_BACKEND": "x11",
            # no graphics card: to lay layers over each other took two fifths of all its time
            "WEBKIT_DISABLE_COMPOSITING_MODE": "1",
        }
        process = stack.enter_context(_process([driver, "--port=0"], env=environment, **options))
        address = f"http://127.0.0.1:{_port_of(process)}/session"

        def command_of(path: str, method: str = "POST", **parameters: Any) -> Any:
            body = json.dumps(parameters).encode() if method == "POST" else None
            request = urllib.request.Request(address + path, data=body, method=method)
            try:
                with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                    return json.load(answer)["value"]
            except HTTPError as refused:
                raise BrowserError(refused.read().decode()[:2000]) from refused

        arguments = {"binary": browser, "args": ["--automation"]}
        capabilities = {"alwaysMatch": {"webkitgtk:browserOptions": arguments}}
        session = command_of("", capabilities=capabilities)["sessionId"]
        stack.callback(command_of, f"/{session}", "DELETE")
        command_of(f"/{session}/timeouts", script=1000 * SECONDS, pageLoad=1000 * SECONDS)

        def run(body: str, given: str) -> str:
            return command_of(
                f"/{session}/execute/async",
                script="const [given, done] = arguments; const [a, b] = JSON.parse(given);"
                f" const body = async () => {{ {body} }};"
                " body().then((v) => done(JSON.stringify(v ?? null)),"
                " (e) => done(JSON.stringify({ thrown: String(e) })))",
                args=[given],
            )

        yield Driver(
            lambda url: command_of(f"/{session}/url", url=url),
            run,
            lambda actions: command_of(f"/{session}/actions", actions=actions),
        )


DRIVERS = {"firefox": firefox, "webkit": webkit}
