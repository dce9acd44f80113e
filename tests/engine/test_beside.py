"""What a process beside this one computes is what this one would have computed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from helpers.engine.beside import Begun

#: One thread and two cores, whatever the machine has: what the command finds on most.
ALONE = """
import os, sys
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.sched_getaffinity = lambda process: {0, 1}
from helpers.engine.beside import Begun, possible, shared
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
    begun.result()
    assert done == [1]


def test_an_answer_is_read_by_its_process_and_by_one_begun_later() -> None:
    made = said(
        "first = Begun(os.getpid)\n"
        "later = Begun(first.result)\n"
        "print(later.result() == first.result() != here)"
    )
    assert (made.stdout, made.stderr) == ("True\n", "")


def test_steps_are_shared_in_turns_and_their_results_stay_in_order() -> None:
    made = said(
        "import time\n"
        "from multiprocessing import get_context\n"
        "both = get_context('fork').Barrier(2 if possible() else 1)\n"
        "met = []\n"
        "def step(place):\n"
        "    if not met: met.append(both.wait())  # however late the other begins\n"
        "    time.sleep(0.01 * (place % 3))\n"
        "    return place, os.getpid()\n"
        "said = []\n"
        "found = shared([lambda place=place: step(place) for place in range(30)], said.append)\n"
        "places, processes = zip(*found)\n"
        "print(list(places) == said == list(range(30)), len(set(processes)), here in processes)\n"
        "os.sched_getaffinity = lambda process: {0}\n"
        "alone = shared([lambda place=place: step(place) for place in range(3)])\n"
        "print([place for place, process in alone if process == here])\n"
    )
    processes = 2 if sys.platform == "linux" else 1
    assert made.stdout == f"True {processes} True\n[0, 1, 2]\n", made.stderr


def test_shared_steps_of_a_process_that_dies_are_done_here() -> None:
    made = said(
        "import time\n"
        "def step(place):\n"
        "    time.sleep(0.05)\n"
        "    return place if os.getpid() == here else os._exit(3)\n"
        "print(shared([lambda place=place: step(place) for place in range(6)]))\n"
    )
    assert (made.stdout, made.stderr) == ("[0, 1, 2, 3, 4, 5]\n", "")


def test_an_error_of_a_shared_step_is_raised_here_and_leaves_the_rest(tmp_path: Path) -> None:
    made = said(
        "import time\n"
        f"steps = {str(tmp_path / 'steps')!r}\n"
        "def step():\n"
        "    if os.getpid() == here: raise ValueError('no number')\n"
        "    time.sleep(0.05)\n"
        "    with open(steps, 'a') as file: file.write('x')\n"
        "try: shared([step] * 1000)\n"
        "except ValueError as error: print(error)\n"
    )
    assert (made.stdout, made.stderr) == ("no number\n", "")
    done = tmp_path / "steps"
    assert not done.exists() or len(done.read_text()) < 999


def test_figures_and_their_files_are_the_same_from_both() -> None:
    made = said(
        "from helpers.reporting.make import report\n"
        "rows = ''.join(f'{i},{1 + i % 4},{30 + i},{\"xy\"[i % 2]}\\n' for i in range(12))\n"
        "table = ('study,events,n,group\\n' + rows).encode()\n"
        "kinds = ['svg', 'pdf', 'png', 'tiff']\n"
        "both = report(table, by='group')\n"
        "found = both._drawing.files(kinds)\n"
        "print(os.times().children_user > 0, len(both._drawing._figures) < len(both.pictures))\n"
        "os.sched_getaffinity = lambda process: {0}\n"
        "one = report(table, by='group')\n"
        "alone = one._drawing.files(kinds)\n"
        "print(list(found) == list(alone), found == alone, both.pictures == one.pictures)\n"
        "print(list(both.figures) == list(one.figures) == list(one.pictures))\n"
    )
    several = sys.platform == "linux"
    assert made.stdout == f"{several} {several}\nTrue True True\nTrue\n", made.stderr
