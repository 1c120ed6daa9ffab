"""Loads a class of the user's own from a Python file that the config names.

Whatever is wrong with it becomes one clear sentence before anything starts.
"""

import importlib.util
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from reactor.domain.errors import ConfigError

T = TypeVar("T")


def load_class(path: str | Path, class_name: str, base: type[T]) -> type[T]:
    """The class `class_name` of the file `path`; it must be a complete subclass of `base`.

    Raises:
        ConfigError: no such file, the file does not run, no such class, or it does not keep the interface.
    """
    file = Path(path).expanduser()
    what = f"{file}: {class_name}"
    if not file.is_file():
        raise ConfigError(f"{file}: no such file; `file:` must name a Python file with the class {class_name}")
    spec = importlib.util.spec_from_file_location(f"crypto_trade_user_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{file}: not a Python file; its name must end with .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Dataclasses and pickling look their module up by name.
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"{file}: cannot be loaded: {type(error).__name__}: {error}") from error
    found = getattr(module, class_name, None)
    if not inspect.isclass(found):
        classes = [name for name, each in vars(module).items() if inspect.isclass(each) and each.__module__ == module.__name__]
        raise ConfigError(f"{what}: no such class in this file; it has {', '.join(classes) or 'none'}")
    if not issubclass(found, base):
        raise ConfigError(f"{what}: must be a subclass of {base.__module__}.{base.__name__}")
    missing = sorted(getattr(found, "__abstractmethods__", ()))
    if missing:
        raise ConfigError(f"{what}: does not define {', '.join(missing)}")
    return found


def make(path: str | Path, made: type[T], arguments: Mapping[str, object], *first: object) -> T:
    """`made(*first, **arguments)`.

    Raises:
        ConfigError: the constructor refuses the arguments of the config.
    """
    try:
        return made(*first, **arguments)
    except Exception as error:
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items()) or "no parameters"
        raise ConfigError(f"{path}: {made.__name__} cannot be made with {given}: {type(error).__name__}: {error}") from error
