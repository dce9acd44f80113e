"""`make` makes the environment with uv where it can be had, and with pip where it cannot."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# stands for Python: makes an environment whose pip and uv write down what they are asked for
PYTHON = """#!/bin/sh
case "$1" in -c) exit 0;; esac
mkdir -p .venv/bin
cat > .venv/bin/pip <<'END'
#!/bin/sh
echo "pip $*" >> asked
case "$*" in *uv==*)
    [ -e no-uv ] && exit 1
    { echo '#!/bin/sh'; echo 'echo "uv $*" >> asked'; echo '[ ! -e uv-fails ]'; } > .venv/bin/uv
    chmod +x .venv/bin/uv
esac
exit 0
END
chmod +x .venv/bin/pip
case "$*" in
    "-m pip "*) [ -e no-pip ] && exit 1; shift 2; exec .venv/bin/pip "$@";;
    "-m venv "*) echo "$*" >> made;;
esac
"""


def install(folder: Path, *options: str) -> tuple[list[str], str]:
    """Let `make` make an environment and give what was asked of pip and uv, and what was said."""
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    python = folder / "python"
    python.write_text(PYTHON, encoding="utf-8")
    python.chmod(0o755)
    made = subprocess.run(
        ["make", ".venv/.ready", "PYTHON=./python", *options],
        cwd=folder, check=True, capture_output=True, text=True,
    )  # fmt: skip
    asked = (folder / "asked").read_text(encoding="utf-8").splitlines()
    plain = [
        line.replace(" --quiet", "").replace(" --disable-pip-version-check", "") for line in asked
    ]
    return plain, made.stdout


EDITABLE = "--no-deps --no-build-isolation -e ."
WITH_PIP = "pip install -r requirements.txt"
WITH_UV = "uv pip install --python .venv/bin/python -r requirements.txt"


def test_uv_installs_everything_and_no_pip_is_unpacked(tmp_path):
    asked, said = install(tmp_path)
    assert asked[0].startswith("pip --python .venv/bin/python install uv==")
    assert asked[1:] == [WITH_UV, f"uv pip install --python .venv/bin/python {EDITABLE}"]
    assert (tmp_path / "made").read_text() == "-m venv --clear --without-pip .venv\n"
    assert "Installing with pip" not in said


def test_where_python_has_no_pip_that_of_the_environment_brings_uv(tmp_path):
    (tmp_path / "no-pip").touch()
    asked, said = install(tmp_path)
    assert asked[0].startswith("pip install uv==")
    assert asked[1:] == [WITH_UV, f"uv pip install --python .venv/bin/python {EDITABLE}"]
    assert (tmp_path / "made").read_text().endswith("-m venv --clear .venv\n")
    assert "Installing with pip" not in said


@pytest.mark.parametrize("fault", ["no-uv", "uv-fails"])
def test_pip_does_it_where_uv_cannot_and_says_so(tmp_path, fault):
    (tmp_path / fault).touch()
    asked, said = install(tmp_path)
    assert asked[-2:] == [WITH_PIP, f"pip install {EDITABLE}"]
    assert (tmp_path / "made").read_text().endswith("-m venv --clear .venv\n")
    assert "Installing with pip, because uv is not to be had here" in said


def test_pip_does_it_when_asked(tmp_path):
    asked, said = install(tmp_path, "UV=")
    assert asked == [WITH_PIP, f"pip install {EDITABLE}"]
    assert "not wanted" in said
