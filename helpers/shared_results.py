"""Results that several chapters need, computed once in a build.

A build names a folder and the state of code and data in the environment (`FOLDER`, `STATE`).
Then the first chapter that asks for a shared result computes it, those that ask meanwhile wait for
it, and all others read it. Without them (in a notebook, in an installed package) every call
computes.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

#: Environment variable with the folder of the shared results.
FOLDER = "NRM_SHARED_RESULTS"
#: Environment variable with a hash of all code and data that a result can depend on.
STATE = "NRM_SHARED_STATE"

Given = ParamSpec("Given")
Found = TypeVar("Found")


def shared_in_a_build(function: Callable[Given, Found]) -> Callable[Given, Found]:
    """Let all processes of a build share what a function returns for the same arguments.

    Its result depends on its arguments, the code and the data alone. Arguments (tables are told
    apart by their cells) and result can be pickled. Whoever gets the result gets a copy.
    """

    @wraps(function)
    def look_up(*args: Given.args, **kwargs: Given.kwargs) -> Found:
        folder, state = os.environ.get(FOLDER), os.environ.get(STATE)
        if not (folder and state):
            return function(*args, **kwargs)
        name = f"{function.__module__}.{function.__qualname__}"
        given = [_content(value) for value in (*args, *kwargs.values())]
        asked = pickle.dumps((name, state, len(args), list(kwargs), given))
        path = Path(folder) / f"{name}-{hashlib.sha256(asked).hexdigest()[:32]}.pickle"
        path.parent.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(path):
            if not path.exists():
                found = pickle.dumps(function(*args, **kwargs))
                partial = path.with_suffix(".partial")
                partial.write_bytes(found)
                partial.replace(path)  # a build cut short leaves no half-written result
            result: Found = pickle.loads(path.read_bytes())
        return result

    return look_up


def _content(value: object) -> object:
    """Give what tells an argument from another: of a table its cells, names and types."""
    import pandas as pd  # a heavy library, which loads when it is first used

    if not isinstance(value, pd.DataFrame):
        return value
    cells = pd.util.hash_pandas_object(value).to_numpy().tobytes()
    return cells, [str(name) for name in value.columns], [str(kind) for kind in value.dtypes]


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Let whoever else wants the same path wait, where the system has such locks."""
    try:
        from fcntl import LOCK_EX, flock
    except ModuleNotFoundError:  # Windows: two processes may compute the same result at once
        yield
        return
    with path.with_suffix(".lock").open("w") as lock:
        flock(lock, LOCK_EX)
        yield
