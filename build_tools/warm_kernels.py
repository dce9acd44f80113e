"""Kernels that start warm: one process imports what the chapters import, and each kernel is a fork.

A kernel of its own spends most of its life on imports. Here a server (``serve``) imports once and
forks for each kernel; what Jupyter starts is a small client (``join``) that lives and dies with its
kernel, so that Jupyter's own machinery starts, watches, interrupts and kills it as usual. Where
this cannot be had (`WarmKernels.reason` says why) chapters run in kernels that start cold; a test
compares the outputs of both.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

#: What helpers import when they are called, not when they are imported.
LATE = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "IPython.core.completer",
    "pandas",
    "matplotlib.pyplot",
    "matplotlib.backends.backend_svg",
    "matplotlib.backends.backend_agg",
    "scipy.stats",
    "scipy.optimize",
    "scipy.special",
    "formulaic",
    "helpers",
    "helpers.views.plots",
)
#: Variables that libraries read when they are imported: the same for every kernel, warm or cold.
AT_IMPORT = {
    "MPLBACKEND": "agg",
    "OPENBLAS_NUM_THREADS": "1",  # chapters run side by side, one a core
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}


# -- the build's side -----------------------------------------------------------------------------


class WarmKernels:
    """A server of warm kernels, for use in a ``with`` block.

    Parameters
    ----------
    modules : iterable of str
        What to import besides `LATE`.
    environment : dict of str to str
        Of the server; that of a kernel is handed over when it starts.

    Attributes
    ----------
    reason : str
        Why kernels start cold; empty when they start warm.
    """

    def __init__(self, modules: Any, environment: dict[str, str]) -> None:
        self.modules, self.environment = [*LATE, *modules], environment
        self.reason = "" if sys.platform == "linux" else f"not tried on {sys.platform}"

    def __enter__(self) -> WarmKernels:
        import subprocess
        import tempfile

        if self.reason:
            return self
        self.folder = tempfile.TemporaryDirectory(prefix="kernels-")
        self.address = f"{self.folder.name}/socket"
        self.line, theirs = socket.socketpair()
        with theirs:
            self.server = subprocess.Popen(
                [sys.executable, "-P", __file__, "serve", self.address, str(theirs.fileno())],
                env={**self.environment, **AT_IMPORT},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self.line.sendall(json.dumps(self.modules).encode() + b"\n")
        answer = self.line.makefile().readline().strip()
        if answer != "ready":
            self.__exit__()
            self.reason = answer or "the server of warm kernels ended"
        return self

    def __exit__(self, *_: Any) -> None:
        if not self.reason:
            self.line.close()  # which ends the server and its kernels
            self.server.wait()
            self.folder.cleanup()

    def manager(self) -> Any:
        """Give the class of kernel managers that ``NotebookClient`` is to use."""
        from jupyter_client.kernelspec import KernelSpec
        from jupyter_client.manager import AsyncKernelManager

        if self.reason:
            return AsyncKernelManager
        client = [sys.executable, "-S", "-I", __file__, "join", self.address]

        class WarmManager(AsyncKernelManager):
            @property
            def kernel_spec(self) -> KernelSpec:
                argv = [*client, "-f", "{connection_file}"]
                return KernelSpec(argv=argv, display_name="Python 3", language="python")

        return WarmManager


# -- the client: what Jupyter takes for the kernel ------------------------------------------------


def join(address: str, arguments: list[str]) -> int:
    """Ask for a kernel, pass interrupts on, and end when it ends."""
    line = socket.socket(socket.AF_UNIX)
    line.connect(address)
    signal.signal(signal.SIGINT, lambda *_: line.send(b"i"))
    here = os.getcwd()  # noqa: PTH109 -- pathlib would cost half of the client's start
    wanted = {"cwd": here, "env": dict(os.environ), "argv": arguments}
    line.sendall(json.dumps(wanted).encode() + b"\n")
    return int(line.makefile().readline() or 1)  # nothing comes when the server was killed


# -- the server -----------------------------------------------------------------------------------


def serve(address: str, descriptor: int) -> int:
    """Import, then fork a kernel for each client until the build hangs up."""
    import gc
    import selectors
    from importlib import import_module

    os.environ["JPY_PARENT_PID"] = str(os.getpid())  # ipykernel reads it when it is imported
    build = socket.socket(fileno=descriptor)
    build.set_inheritable(False)
    try:
        for name in json.loads(build.makefile().readline()):
            import_module(name)
        import pandas

        # pandas asks for the width of a terminal when no kernel is there at its import
        pandas.set_option("display.max_columns", 20)
    except Exception as error:  # noqa: BLE001 -- handed to the build, which starts kernels cold
        build.sendall(f"{type(error).__name__}: {error}".replace("\n", " ").encode() + b"\n")
        return 1
    ours, wake = socket.socketpair()
    ours.setblocking(False)
    wake.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the build, which then hangs up
    signal.set_wakeup_fd(wake.fileno())
    door = socket.socket(socket.AF_UNIX)
    door.bind(address)
    door.listen()
    gc.collect()
    gc.freeze()
    build.sendall(b"ready\n")
    kernels: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as loop:
        for one in (build, ours, door):
            loop.register(one, selectors.EVENT_READ)
        while True:
            for key, _ in loop.select():
                if key.fileobj is build:
                    _kill(kernels)
                    return 0
                if key.fileobj is ours:
                    ours.recv(4096)
                    _reap(kernels, loop)
                elif key.fileobj is door:
                    line, _ = door.accept()
                    wanted = json.loads(line.makefile().readline())
                    pid = os.fork()
                    if pid == 0:
                        loop.close()
                        for one in (build, ours, wake, door, line, *kernels.values()):
                            one.close()
                        _become_kernel(wanted)
                    kernels[pid] = line
                    loop.register(line, selectors.EVENT_READ, pid)
                elif key.data in kernels:
                    asked = key.fileobj.recv(64)  # type: ignore[union-attr]
                    # no word, but the end: the client was killed, and its kernel goes with it
                    os.kill(key.data, signal.SIGINT if asked else signal.SIGKILL)
                    if not asked:
                        loop.unregister(key.fileobj)


def _kill(kernels: dict[int, socket.socket]) -> None:
    for pid in kernels:
        os.kill(pid, signal.SIGKILL)
    for pid in kernels:
        os.waitpid(pid, 0)


def _reap(kernels: dict[int, socket.socket], loop: Any) -> None:
    """Tell the clients of kernels that have ended."""
    for pid in list(kernels):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            line = kernels.pop(pid)
            if line in {key.fileobj for key in loop.get_map().values()}:
                loop.unregister(line)
                with suppress(BrokenPipeError, ConnectionResetError):  # a client just killed
                    line.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
            line.close()


def _become_kernel(wanted: dict[str, Any]) -> None:
    """Turn this fork into a kernel like one that ``python -m ipykernel_launcher`` starts."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.setsid()
        os.chdir(wanted["cwd"])
        parent = os.environ["JPY_PARENT_PID"]
        os.environ.clear()
        os.environ.update(wanted["env"], JPY_PARENT_PID=parent)
        sys.argv = ["ipykernel_launcher.py", *wanted["argv"]]

        import numpy as np
        from ipykernel.kernelapp import IPKernelApp

        np.random.seed()  # noqa: NPY002 -- no two kernels draw the same
        IPKernelApp.launch_instance(wanted["argv"])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 -- a fork must never return into the server
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)  # whatever the server was to do at its end is not for its forks


if __name__ == "__main__":
    _what, _address, *_rest = sys.argv[1:]
    raise SystemExit(serve(_address, int(_rest[0])) if _what == "serve" else join(_address, _rest))
