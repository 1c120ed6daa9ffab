"""The user's strategy function: loaded from its file, each of its parameters given a value, compiled as it stands.

    @njit
    def gridtrading(hbt, recorder, skew): …       live_bots: [{file: …, function: gridtrading, parameters: {skew: 1.0}}]

The first parameter is the bot. One called `recorder` or `stat`, as in hftbacktest's tutorials, is a recorder unless the config
gives it a value; every other one needs a value in the config, or a default of its own.
"""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numba
import numpy as np

from reactor.domain.errors import ConfigError

_numba: Any = numba  # Untyped where it is installed, unknown where it is not.
RECORDER_NAMES: Final = ("recorder", "stat", "stats")


def load_module(path: str) -> ModuleType:
    """Runs the user's file.

    Raises:
        ConfigError: no such file, or it raises.
    """
    file = Path(path).expanduser()
    spec = importlib.util.spec_from_file_location(f"crypto_trade_user_{file.stem}", file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise ConfigError(f"{file}: no such Python file; `file:` must name the file with the strategy function")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Numba looks a function's module up by name.
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"{file}: cannot be loaded: {type(error).__name__}: {error}") from error
    return module


def load_function(path: str, name: str) -> Any:
    """The compiled function of that name; a plain one is handed to Numba.

    Raises:
        ConfigError: no such file or function.
    """
    module = load_module(path)
    found = getattr(module, name, None)
    if hasattr(found, "py_func"):
        return found
    if inspect.isfunction(found):
        return _numba.njit(found)
    functions = [key for key, each in vars(module).items() if hasattr(each, "py_func") or inspect.isfunction(each)]
    raise ConfigError(f"{path}: no function {name!r} in this file; it has {', '.join(functions) or 'none'}")


def recorder_name(function: Any, given: Mapping[str, object]) -> str:
    """The parameter that takes a recorder; empty: none."""
    names = list(inspect.signature(function.py_func).parameters)[1:]
    return next((name for name in names if name in RECORDER_NAMES and name not in given), "")


def arguments_of(function: Any, bot: Any, recorder: Any, given: Mapping[str, object]) -> tuple[Any, ...]:
    """A value for every parameter, in order.

    Raises:
        ConfigError: a parameter has no value, or a value no parameter.
    """
    name = function.py_func.__name__
    parameters = list(inspect.signature(function.py_func).parameters.values())
    if not parameters:
        raise ConfigError(f"{name}: a strategy takes the bot as its first parameter")
    values: list[Any] = [bot]
    recorder_parameter = recorder_name(function, given)
    for parameter in parameters[1:]:
        if parameter.name in given:
            values.append(_value(given[parameter.name]))
        elif parameter.name == recorder_parameter:
            values.append(recorder)
        elif parameter.default is not inspect.Parameter.empty:
            values.append(parameter.default)
        else:
            raise ConfigError(f"{name}: no value for its parameter {parameter.name!r}; add it under `parameters`")
    unknown = [key for key in given if key not in {parameter.name for parameter in parameters[1:]}]
    if unknown:
        known = ", ".join(parameter.name for parameter in parameters[1:]) or "none"
        raise ConfigError(f"{name}: has no parameter {unknown[0]!r}; it has {known}")
    return tuple(values)


def _value(given: object) -> object:
    """A list of the config is an array for compiled code."""
    return np.asarray(given) if isinstance(given, list | tuple) else given


def compiled(function: Any, arguments: tuple[Any, ...]) -> Callable[[], None]:
    """The strategy, ready to run: the whole of it without the interpreter's lock, so that signals and links are looked after.

    Raises:
        ConfigError: Numba cannot compile it; the sentence is Numba's.
    """

    @_numba.njit(nogil=True)
    def run(values):  # type: ignore[no-untyped-def]
        function(*values)

    try:
        run.compile((_numba.typeof(arguments),))
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise ConfigError(f"{function.py_func.__name__}: cannot be compiled: {' | '.join(lines[:6])[:600]}") from error
    return lambda: run(arguments)
