"""What a process beside this one computes is what this one would have computed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from helpers.engine.beside import Begun

#: One thread and two cores, whatever the machine has: what the command finds on most.
ALONE = """
import os, sys
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.sched_getaffinity = lambda process: {0, 1}
from helpers.engine.beside import Begun, possible
here = os.getpid()
"""


def said(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", ALONE + code], capture_output=True, text=True)


def test_a_step_runs_in_another_process_only_where_that_is_safe() -> None:
    made = said(
        "import threading, time\n"
        "found = [possible(), Begun(os.getpid).result() != here]\n"
        "found.append(Begun(possible).result())  # not within another\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "found += [possible(), Begun(os.getpid).result() != here]\n"
        "print(found)"
    )
    linux = sys.platform == "linux"
    assert made.stdout.split("\n")[0] == str([linux, linux, False, False, False]), made.stderr


def test_an_error_is_the_one_that_the_step_raises_here() -> None:
    made = said(
        "from helpers.errors import MetaAnalysisError\n"
        "def step(): raise MetaAnalysisError('too few')\n"
        "begun = Begun(step)\n"
        "try: begun.result()\n"
        "except MetaAnalysisError as error: print(error)\n"
    )
    assert (made.stdout, made.stderr) == ("too few\n", "")


def test_a_process_that_dies_leaves_its_step_to_this_one() -> None:
    made = said("print(Begun(lambda: os.getpid() == here or os._exit(3)).result())")
    assert (made.stdout, made.stderr) == ("True\n", "")


def test_without_a_second_process_a_step_waits_until_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("helpers.engine.beside.possible", lambda: False)
    done: list[int] = []
    begun = Begun(lambda: done.append(1))
    assert not done
    assert not begun.runs()
    begun.result()
    assert done == [1]


def test_files_of_figures_are_the_same_from_both() -> None:
    made = said(
        "import matplotlib.pyplot as plt\n"
        "from helpers.reporting.exports import Packing, figure_files\n"
        "from helpers.views import plots\n"
        "shown = []\n"
        "for name in ('first', 'second', 'third'):\n"
        "    fig, ax = plt.subplots(figsize=(2, 1)); ax.set_title(name)\n"
        "    shown.append((plots.show(ax, name, caption='C.', alt='A.', title='T'), fig))\n"
        "packing = Packing(['svg', 'pdf', 'png', 'tiff'])\n"
        "for one in shown: packing.add(*one)\n"
        "alone = {}\n"
        "for one in shown: alone |= figure_files(*one)\n"
        "found = packing.files()\n"
        "print(list(found) == list(alone), found == alone, os.times().children_user > 0)\n"
    )
    assert made.stdout == f"True True {sys.platform == 'linux'}\n", made.stderr
