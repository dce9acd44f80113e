"""Steps computed in a process beside this one, where that is safe and of use."""

from __future__ import annotations

import os
import pickle
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

Found = TypeVar("Found")

_TASKS = Path("/proc/self/task")
#: Bytes of the place of a step in a pipe, which holds 64 KiB.
_PLACE = 2
_COPY: list[bool] = []  # not empty in a process beside another


def possible() -> bool:
    """Whether a copy of this process can compute something for it.

    On Linux with more than one core, as long as no other thread runs, of Python or of a library:
    its locks would stay locked in the copy. Never in a notebook, whose kernel has threads.
    """
    if sys.platform != "linux" or _COPY or not _TASKS.is_dir():
        return False
    return len(os.sched_getaffinity(0)) > 1 and sum(1 for _ in _TASKS.iterdir()) == 1


class Begun(Generic[Found]):
    """A step that was begun in a process beside this one; where none can be, it waits for `result`.

    The step depends on nothing that changes meanwhile, and pickle can send its result. It changes
    nothing here: warnings, and what it keeps for later, are lost with its process.

    Examples
    --------
    >>> begun = Begun(lambda: sum(range(1000)))
    >>> begun.result()
    499500
    """

    def __init__(self, step: Callable[[], Found]) -> None:
        self._step = step
        self._answer: int | None = None
        if possible():
            from multiprocessing import get_context

            fork = cast(Any, get_context("fork"))
            # a file in memory, which every process that is begun later can read too
            self._answer = os.memfd_create("answer")
            self._process = fork.Process(target=_compute, args=(step, self._answer), daemon=True)
            self._process.start()

    def result(self) -> Found:
        """Wait for the result.

        Whatever kept the other process from one (an error, too little memory) is met again here,
        where the step runs anew.
        """
        if self._answer is None:
            return self._step()
        from multiprocessing.connection import wait

        wait([self._process.sentinel])
        content = os.pread(self._answer, os.fstat(self._answer).st_size, 0)
        os.close(self._answer)
        self._answer = None
        if not _COPY:
            self._process.join()
        try:
            found: list[Found] = pickle.loads(content)
        except (EOFError, pickle.UnpicklingError):  # it ended without an answer, or within it
            found = []
        return found[0] if found else self._step()


def shared(
    steps: Sequence[Callable[[], Found]], begins: Callable[[int], None] = lambda place: None
) -> list[Found]:
    """Take the steps in turns with a process beside this one, and give their results in order.

    Whoever is free takes the next step; where there is no second process, all of them run here.
    `begins` is called here with the place of every step, in order, about when the step begins. The
    steps do not depend on each other, and are otherwise as those of `Begun`.

    Examples
    --------
    >>> shared([lambda: "a", lambda: "b", lambda: "c"])
    ['a', 'b', 'c']
    """
    found: dict[int, Found] = {}
    said = 0

    def say(most: int) -> None:
        nonlocal said
        while said < most:
            begins(said)
            said += 1

    if len(steps) > 1 and possible():
        taken, places = os.pipe()  # both read it: each place goes to one of them
        os.write(places, b"".join(place.to_bytes(_PLACE) for place in range(len(steps))))
        os.close(places)

        def next_places() -> Iterator[int]:
            while place := os.read(taken, _PLACE):
                yield int.from_bytes(place)

        other = Begun(lambda: {place: steps[place]() for place in next_places()})
        try:
            for place in next_places():
                say(place + 1)
                found[place] = steps[place]()
            found |= other.result()
        finally:
            deque(next_places(), maxlen=0)  # an error here ends the other process with its step
            os.close(taken)
    for place, step in enumerate(steps):  # all, or those that the other process did not manage
        say(place + 1)
        if place not in found:
            found[place] = step()
    return [found[place] for place in range(len(steps))]


def _compute(step: Callable[[], Any], answer: int) -> None:
    """Write the result of a step in a list; an error ends the process without a word."""
    import gc
    import io
    import signal
    import warnings

    _COPY.append(True)
    gc.freeze()  # to look through what both share would copy it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever waits is interrupted, and ends this
    os.nice(5)  # whoever goes on meanwhile has a core first
    sys.stderr = io.StringIO()
    warnings.simplefilter("ignore")
    with open(answer, "wb", closefd=False) as file:
        pickle.dump([step()], file, protocol=pickle.HIGHEST_PROTOCOL)
