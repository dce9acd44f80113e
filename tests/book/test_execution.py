"""Running chapters: what makes a chapter run again, and how a failing cell is named."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import build
import chapter_pages
import chapters
import dependencies
import nbformat
import pytest
import warm_kernels
from warm_kernels import AT_IMPORT, WarmKernels

from helpers import shared_results

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def house(tmp_path, monkeypatch, warm):
    """Make a small copy of the layout that the machinery works on, with kernels that are ready."""
    monkeypatch.setattr(chapters, "WARM_FROM", 1)
    monkeypatch.setattr(chapters, "WarmKernels", lambda *_: nullcontext(warm))
    for folder in ("book", "helpers", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "helpers" / "a.py").write_text("A = 1\n")
    (tmp_path / "data" / "b.csv").write_text("x\n1\n")
    (tmp_path / "requirements.txt").write_text("numpy\n")
    for module in (chapters, dependencies):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    for module in (chapters, chapter_pages):
        monkeypatch.setattr(module, "BOOK", tmp_path / "book")
    monkeypatch.setattr(chapters, "CACHE", tmp_path / "_build" / "executed")
    monkeypatch.setattr(chapters, "SHARED", tmp_path / "_build" / "shared")
    for name in (shared_results.FOLDER, shared_results.STATE):
        monkeypatch.setenv(name, "")
    return tmp_path


def write_chapter(house: Path, *sources: str) -> Path:
    path = house / "book" / "chapter.ipynb"
    cells = [nbformat.v4.new_markdown_cell("# Title", id="title")]
    cells += [nbformat.v4.new_code_cell(s, id=f"c{i}") for i, s in enumerate(sources)]
    path.write_text(chapters.dumps(nbformat.v4.new_notebook(cells=cells)), encoding="utf-8")
    return path


@pytest.mark.parametrize("pattern", dependencies.DEPENDENCIES)
def test_what_a_chapter_depends_on_exists(pattern):
    assert any(path.is_file() for path in Path(__file__).resolve().parents[2].glob(pattern))


@pytest.mark.parametrize(
    "changed", ["helpers/a.py", "helpers/b.toml", "data/b.csv", "requirements.txt"]
)
def test_an_edit_in_what_a_chapter_depends_on_changes_the_key_of_its_run(house, changed):
    notebook = nbformat.read(write_chapter(house, "1"), as_version=4)
    before = chapters.run_key(notebook, dependencies.dependency_hash())
    assert chapters.run_key(notebook, dependencies.dependency_hash()) == before
    with (house / changed).open("a") as file:
        file.write("# edited\n")
    assert chapters.run_key(notebook, dependencies.dependency_hash()) != before


def test_an_edit_in_a_cell_changes_the_key_and_stored_outputs_do_not(house):
    notebook = nbformat.read(write_chapter(house, "1"), as_version=4)
    before = chapters.run_key(notebook, "same")
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", name="stdout", text="old")]
    assert chapters.run_key(notebook, "same") == before
    notebook.cells[1].source = "2"
    assert chapters.run_key(notebook, "same") != before


def test_second_run_comes_from_the_cache_until_a_data_file_changes(house, capsys):
    path = write_chapter(house, "open('../data/b.csv').read()")
    chapters.executed([path])
    (_, again), *_ = chapters.executed([path])
    assert "unchanged" in capsys.readouterr().out
    assert "1" in again.cells[1].outputs[0].data["text/plain"]
    (house / "data" / "b.csv").write_text("x\n2\n")
    (_, fresh), *_ = chapters.executed([path])
    assert "unchanged" not in capsys.readouterr().out
    assert "2" in fresh.cells[1].outputs[0].data["text/plain"]


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("raise KeyError('no such cohort')", "no such cohort"),
        ("import sys; print('careful', file=sys.stderr)", "wrote to stderr"),
    ],
)
def test_a_failing_cell_is_named_with_its_chapter(house, source, cause):
    path = write_chapter(house, "1", source)
    with pytest.raises(chapters.ChapterError, match=r"book/chapter\.ipynb, cell 3") as error:
        chapters.executed([path])
    assert cause in str(error.value)
    assert not list((house / "_build").rglob("*.ipynb")), "a failed run must not be cached"


def test_refreshing_an_unchanged_chapter_leaves_its_bytes(house):
    path = write_chapter(house, "print('a')\nprint('b')", "{'x': 1}")
    assert chapters.main([str(path)]) == 0
    first = path.read_bytes()
    assert chapters.main([str(path), "--again"]) == 0
    assert path.read_bytes() == first
    stored = nbformat.read(path, as_version=4)
    assert stored.cells[1].outputs[0].text == "a\nb\n"


def test_shared_results_are_of_this_code_and_of_this_kind_of_processor(house, monkeypatch):
    dependencies.share_results(chapters.SHARED, "code")
    made = chapters.SHARED / "result.pickle"
    made.touch()
    dependencies.share_results(chapters.SHARED, "code")
    assert made.exists()
    state = os.environ[shared_results.STATE]
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    dependencies.share_results(chapters.SHARED, "code")
    assert not made.exists()
    assert os.environ[shared_results.STATE] != state
    made.touch()
    dependencies.share_results(chapters.SHARED, "other code")
    assert not made.exists()


AT_ONCE = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from dependencies import share_results
Path(f"ready-{sys.argv[2]}").touch()
while not Path("go").exists(): time.sleep(0.001)
share_results(Path("ours"), "code", former=Path("built"))
print(sum(len(one.read_bytes()) for one in Path("ours").glob("*.pickle")))
"""


def test_runs_that_begin_at_once_take_over_whole_results(tmp_path):
    """`make test` begins the tests of the site beside the others, after a change of the code."""
    environment = {**os.environ, "PYTHONPATH": str(Path(dependencies.__file__).parents[1])}
    tools = str(Path(dependencies.__file__).parent)
    for name in ("ours", "built"):
        (tmp_path / name).mkdir()
    state = json.dumps(["code", dependencies.machine()])
    (tmp_path / "built" / "state").write_text(state)
    for number in range(200):
        (tmp_path / "ours" / f"old-{number}.pickle").write_bytes(b"old")
        (tmp_path / "built" / f"new-{number}.pickle").write_bytes(b"12345")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", AT_ONCE, tools, str(number)],
            cwd=tmp_path, env=environment, stdout=subprocess.PIPE,
        )
        for number in range(4)
    ]  # fmt: skip
    while len(list(tmp_path.glob("ready-*"))) < len(processes):
        assert all(process.poll() in {None, 0} for process in processes)
        time.sleep(0.01)
    (tmp_path / "go").touch()
    assert [int(process.communicate()[0] or -1) for process in processes] == [1000] * 4
    assert not list((tmp_path / "ours").glob("*.copied"))


def test_chapters_run_while_sphinx_starts_and_once(house):
    """The build reaches its own work before the chapter is done, and takes the outputs over."""
    path = write_chapter(
        house,
        "import pathlib, time\n"
        "while not pathlib.Path('started').exists(): time.sleep(0.02)\n"
        "open('ran', 'a').write('x')",
    )
    chapters.begin()
    assert not (house / "book" / "ran").exists()
    (house / "book" / "started").touch()
    ((found, notebook),) = chapters.of_the_book()
    assert found == path
    assert notebook.cells[1].outputs[0].data["text/plain"] == "1"
    assert [one for one, _ in chapters.of_the_book()] == [path]
    assert (house / "book" / "ran").read_text() == "x"


def test_a_chapter_that_fails_while_sphinx_starts_fails_the_build(house):
    write_chapter(house, "raise KeyError('no such cohort')")
    chapters.begin()
    with pytest.raises(chapters.ChapterError, match=r"book/chapter\.ipynb, cell 2"):
        chapters.of_the_book()


def test_the_build_begins_with_the_chapters(house, monkeypatch):
    """Before Jupyter Book is there: to import it takes seconds."""
    order = []
    monkeypatch.setattr(build, "ROOT", house)
    monkeypatch.setitem(sys.modules, "rfc3987_syntax", None)
    monkeypatch.setattr(chapters, "begin", lambda: order.append("chapters"))
    book = SimpleNamespace(main=lambda *_, **__: order.append("pages"))
    monkeypatch.setitem(sys.modules, "jupyter_book.cli.main", book)
    assert build.main() == 0
    assert order == ["chapters", "pages"]


def test_refresh_and_build_run_a_chapter_once_between_them(house, capsys):
    path = write_chapter(house, "open('ran', 'a').write('x')")
    chapters.executed([path])
    assert chapters.main([str(path)]) == 0
    assert (house / "book" / "ran").read_text() == "x"
    assert nbformat.read(path, as_version=4).cells[1].outputs[0].data["text/plain"] == "1"
    assert "All 1 chapters are unchanged" in capsys.readouterr().out
    chapters.executed([path])
    assert chapters.main([str(path), "--again"]) == 0
    assert (house / "book" / "ran").read_text() == "xx"


def test_an_edit_in_a_style_makes_every_page_anew(house):
    (house / "book" / "_static").mkdir()
    style = house / "book" / "_static" / "book.css"
    style.write_text("a { color: red }\n")

    class Environment:
        found_docs = frozenset({"index", "pooling"})

    class Application:
        chapters: dict[str, str] = {}  # noqa: RUF012

    environment = Environment()
    assert chapter_pages._outdated(Application(), environment) == ["index", "pooling"]
    assert chapter_pages._outdated(Application(), environment) == []
    style.write_text("a { color: blue }\n")
    assert chapter_pages._outdated(Application(), environment) == ["index", "pooling"]


# -- kernels that start warm ----------------------------------------------------------------------


def text_of(path: Path, kernels: WarmKernels | None) -> str:
    return chapters.dumps(asyncio.run(chapters.execute(path, kernels)))


def test_a_chapter_says_the_same_in_a_warm_and_in_a_cold_kernel(warm):
    path = chapters.BOOK / "codebook.ipynb"
    assert text_of(path, warm) == text_of(path, None)


def test_a_warm_kernel_has_the_settings_of_a_cold_one(house, warm):
    names = sorted(AT_IMPORT)
    path = write_chapter(
        house,
        "import os, sys, signal, pandas, matplotlib",
        "pandas.DataFrame({i: [i] * 3 for i in range(15)})",
        "{name: pandas.get_option(name) for name in ('display.max_columns', 'display.width')}",
        f"matplotlib.get_backend(), [os.environ[name] for name in {names}], os.getcwd()",
        "sys.path[:2], __name__, signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGCHLD)",
    )
    assert text_of(path, warm) == text_of(path, None)


def test_warm_kernels_share_nothing(house, warm):
    first = write_chapter(house, "import helpers, random, numpy", "helpers.left = 1")
    text_of(first, warm)
    draws = "print(hasattr(helpers, 'left'), random.random(), numpy.random.random())"
    path = write_chapter(house, "import helpers, random, numpy", draws)
    one, other = text_of(path, warm), text_of(path, warm)
    assert "False 0." in one
    assert one != other


def test_a_failing_cell_in_a_warm_kernel_is_named(house, warm):
    path = write_chapter(house, "1", "raise KeyError('no such cohort')")
    with pytest.raises(
        chapters.ChapterError, match=r"chapter\.ipynb, cell 3: CellExec.*\n(?s:.*)such"
    ):
        text_of(path, warm)


def test_a_warm_kernel_that_dies_is_named_at_once(house, warm):
    path = write_chapter(house, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(chapters.ChapterError, match=r"chapter\.ipynb: DeadKernelError"):
        text_of(path, warm)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(pid: int) -> bool:
    end = time.monotonic() + 30
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not alive(pid)


def test_a_warm_kernel_ends_with_its_client_and_with_the_build(house):
    async def start(manager):
        await manager.start_kernel(cwd=str(house))
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=120)
        reply = await client.execute_interactive(
            "", user_expressions={"pid": "__import__('os').getpid()"}, output_hook=lambda _: None
        )
        client.stop_channels()
        return int(reply["content"]["user_expressions"]["pid"]["data"]["text/plain"])

    kernels = WarmKernels([], dict(os.environ))
    kernels.modules = ["ipykernel.kernelapp"]  # the end of a kernel needs no engine

    async def both():
        with kernels:
            first, second = kernels.manager()(), kernels.manager()()
            pids = [await start(first), await start(second)]
            assert all(map(alive, pids))
            os.kill(first.provisioner.pid, signal.SIGKILL)
            assert wait_until_gone(pids[0])
            assert alive(pids[1])
        assert wait_until_gone(pids[1])
        for manager in (first, second):
            await manager.shutdown_kernel(now=True)

    asyncio.run(both())


def test_without_warm_kernels_chapters_run_cold_and_the_build_says_so(house, monkeypatch, capsys):
    monkeypatch.setattr(chapters, "WarmKernels", WarmKernels)
    monkeypatch.setattr(warm_kernels, "LATE", ())
    monkeypatch.setattr(chapters, "imported", lambda notebook: {"no_such_module"})
    ((_, notebook),) = chapters.executed([write_chapter(house, "1 + 1")])
    assert notebook.cells[1].outputs[0].data["text/plain"] == "2"
    said = capsys.readouterr().out
    assert "Kernels start cold" in said
    assert "no_such_module" in said


# -- order and progress ---------------------------------------------------------------------------


def test_the_longest_chapter_runs_first_and_progress_is_shown(house, monkeypatch, capsys):
    monkeypatch.setattr(chapters, "CORES", 1)
    monkeypatch.setattr(chapters, "LONG", {})
    monkeypatch.setattr(chapters, "WARM_FROM", 9)
    ran, now = [], [0.0]

    async def execute(path, kernels):
        ran.append(path.stem)
        now[0] += {"quick": 0.0, "slow": 0.3}.get(path.stem, 0.1)
        return nbformat.read(path, as_version=4)

    # a clock that no other work on the machine makes go ahead
    monkeypatch.setattr(chapters, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    monkeypatch.setattr(chapters, "execute", execute)
    monkeypatch.setattr(chapters, "imported", lambda notebook: set())
    paths = []
    for name in ("quick", "middle", "slow"):
        path = write_chapter(house, "1")
        paths.append(path.rename(path.with_stem(name)))
    chapters.executed(paths)
    first = capsys.readouterr().out
    assert "Running 3 of 3 chapters, about" in first
    assert [f"{i} of 3" in first for i in (1, 2, 3)] == [True] * 3
    ran.clear()
    found = chapters.executed(paths, fresh=True)
    assert ran == ["slow", "middle", "quick"]
    assert [path.stem for path, _ in found] == ["quick", "middle", "slow"]
