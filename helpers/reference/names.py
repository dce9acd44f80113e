"""Names of the code that the appendices mention: calls, options, defaults, lists of values."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any, get_args

from ..engine.options import resolve
from ..errors import MetaAnalysisError

__all__ = ["check_use", "find_object", "grouped_options", "registered_values"]

#: Name of the package that is documented: ``helpers`` in the book, its other name in a wheel.
PACKAGE = __name__.partition(".")[0]
_USE = re.compile(r"(?P<name>[\w.]+)(?:\((?P<option>\w+)(?:=(?P<default>.+))?\))?")


def find_object(name: str) -> Any:
    """Find a public object by its dotted name; an error when there is none."""
    home, _, last = name.rpartition(".")
    if not re.fullmatch(rf"{PACKAGE}(\.[^\W_]\w*)+", name):
        raise MetaAnalysisError(f"{name!r} is not a public name of {PACKAGE}")
    try:
        # A function and its module may share a name: the last part is an attribute if it can be.
        parent = resolve_name(home)
        return getattr(parent, last) if hasattr(parent, last) else resolve_name(name)
    except (ImportError, AttributeError) as error:
        raise MetaAnalysisError(f"{name!r}: there is no {last!r}") from error


def check_use(use: str) -> None:
    """Check that a call, such as ``helpers.pool(quad_points=7)``, has this option and default."""
    match = _USE.fullmatch(use)
    if match is None:
        raise MetaAnalysisError(f"{use!r}: expected a name, name(option) or name(option=default)")
    found = find_object(match["name"])
    if match["option"] is None:
        return
    defaults = {name: one.default for name, one in inspect.signature(found).parameters.items()}
    defaults |= grouped_options(found)
    if match["option"] not in defaults:
        raise MetaAnalysisError(f"{use}: the options are {', '.join(defaults)}")
    default = defaults[match["option"]]
    if match["default"] is not None and repr(default) != match["default"]:
        raise MetaAnalysisError(f"{use}: the default is {default!r}")


def grouped_options(call: Any) -> dict[str, Any]:
    """Name the choices of a keyword group with their defaults, as far as `resolve` knows them.

    >>> import helpers
    >>> grouped_options(helpers.pool_effects)
    {'tau2_method': None, 'tau2': None, 'back_transform': 'harmonic-mean'}
    """
    known = inspect.signature(resolve).parameters
    found: dict[str, Any] = {}
    for one in inspect.signature(call).parameters.values():
        group = re.fullmatch(r"Unpack\[(\w+)\]", str(one.annotation))
        if one.kind is one.VAR_KEYWORD and group:
            words = inspect.unwrap(call).__globals__[group[1]].__annotations__
            for name, kind in words.items():
                own = known[name].default if name in known else one.empty
                found[name] = None if re.search("None|Any", str(kind)) else own
    return found


def registered_values(registry: str) -> tuple[str, ...]:
    """List the values that the code knows.

    `registry` names a tuple of names, a mapping (its keys, or all names in its tuples), a literal
    type, or a package whose public functions are the values.
    """
    found = find_object(registry)
    if isinstance(found, Mapping):
        parts = [v if isinstance(v, tuple) else (k,) for k, v in found.items()]
        return tuple(dict.fromkeys(name for part in parts for name in part))
    if inspect.ismodule(found):
        public = [getattr(found, name) for name in found.__all__]
        return tuple(o.__name__ for o in public if inspect.isfunction(o))
    if isinstance(found, (tuple, list)):
        return tuple(str(value) for value in found)
    values = tuple(getattr(value, "__name__", value) for value in get_args(found))
    if not values:
        raise MetaAnalysisError(f"{registry!r} is no list of values")
    return tuple(str(value) for value in values)
