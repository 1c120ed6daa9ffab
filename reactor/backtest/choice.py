"""Which strategy with which parameters: a name of the house, or `file.py:Class`, as the config of a session names them.

A class of one's own is made as it is live: Class(instrument_index, scale, **parameters). With a config file the parameters are
those of the hosted strategy of that name, so that what trades is what is tested.
"""

import ast
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml

from reactor.config.load import read_yaml
from reactor.domain.errors import ConfigError
from reactor.loop.user_file import load_class, make
from reactor.strategies.registry import BUILT_IN, known_strategy, make_strategy, strategy_parameters
from reactor.strategies.strategy import Scale, Strategy


@dataclass(frozen=True)
class Choice:
    """A strategy and its parameters; picklable, so that other processes can make it too."""

    name: str
    file: str = ""
    class_name: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def with_parameters(self, more: Mapping[str, Any]) -> "Choice":
        """The same strategy with some other parameters."""
        return replace(self, parameters={**self.parameters, **more})

    def make(self, instrument_index: int, scale: Scale) -> Strategy:
        """A fresh strategy.

        Raises:
            ConfigError: it does not take these parameters on this instrument.
        """
        if not self.file:
            return make_strategy(self.name, instrument_index, scale, self.parameters)
        self.check_names(self.parameters)
        made: Any = make(self.file, load_class(self.file, self.class_name, object), self.parameters, instrument_index, scale)
        for wanted in ("decide", "update_interval_ms", "name"):
            if not hasattr(made, wanted):
                raise ConfigError(f"{self.file}: {self.class_name} has no {wanted}; see reactor/strategies/strategy.py")
        strategy: Strategy = made
        return strategy

    def complete(self) -> dict[str, Any]:
        """Every parameter with its value, as far as one can know: of a class of one's own those that are given."""
        return dict(self.parameters) if self.file else asdict(strategy_parameters(self.name, self.parameters))

    def names(self) -> list[str] | None:
        """The parameters that there are; None if the class takes any."""
        if not self.file:
            return [each.name for each in fields(known_strategy(self.name).parameters)]
        signature = inspect.signature(load_class(self.file, self.class_name, object))
        if any(each.kind is each.VAR_KEYWORD for each in signature.parameters.values()):
            return None
        return list(signature.parameters)[2:]

    def check_names(self, given: Mapping[str, Any] | Sequence[str]) -> None:
        """Raises ConfigError if one of the names is no parameter, with those that are."""
        known = self.names()
        unknown = [] if known is None else [name for name in given if name not in known]
        if unknown:
            assert known is not None, "something was unknown"
            raise ConfigError(f"{self.name}: no parameter is called {', '.join(unknown)}; there are {', '.join(known)}")


def choose(text: str) -> Choice:
    """`obi-mm`, `mine.py` (its only strategy) or `mine.py:Mine`.

    Raises:
        ConfigError: there is no such strategy.
    """
    path, colon, class_name = text.rpartition(":") if ".py:" in text else (text, "", "")
    if not path.endswith(".py"):
        if text not in BUILT_IN:
            raise ConfigError(f"no strategy is called {text!r}; there are {', '.join(BUILT_IN)}, and your own: FILE.py:CLASS")
        return Choice(text)
    file = str(Path(path).expanduser().resolve())
    if not colon:
        class_name = _only_class(path, file)
    load_class(file, class_name, object)
    return Choice(f"{Path(path).stem}:{class_name}", file, class_name)


def _only_class(path: str, file: str) -> str:
    try:
        tree = ast.parse(Path(file).read_text(), path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; a strategy of your own is FILE.py:CLASS") from None
    except (SyntaxError, ValueError) as error:
        raise ConfigError(f"{path}: is no Python file ({error})") from None
    classes = [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        and (
            any(isinstance(each, ast.FunctionDef) and each.name == "decide" for each in node.body)
            or any("Strategy" in ast.unparse(base) for base in node.bases)
        )
    ]
    if len(classes) != 1:
        raise ConfigError(f"{path}: has {', '.join(classes) or 'no strategy'}; say which: {path}:CLASS")
    return classes[0]


def read_config(choice: Choice, path: Path) -> tuple[Choice, dict[str, Any]]:
    """What a config file says: the strategy's parameters, and the section `backtest` (defaults of the options).

    A session's config gives the parameters of its hosted strategy; a file of one's own may give `parameters` directly.

    Raises:
        ConfigError: it cannot be read, or hosts no such strategy.
    """
    tree = read_yaml(path)
    section = tree.get("backtest") or {}
    if not isinstance(section, dict):
        raise ConfigError(f"{path}: backtest: is a section of options")
    direct = tree.get("parameters")
    strategy = tree.get("strategy")
    hosted = (strategy.get("hosted") if isinstance(strategy, dict) else None) or []
    if direct is None:
        mine = [each for each in hosted if isinstance(each, dict) and each.get("name") in (choice.name, choice.class_name)]
        if len(mine) > 1:
            mine = [each for each in mine if each.get("parameters")][:1]
        if not mine and hosted:
            there = ", ".join(str(each.get("name")) for each in hosted if isinstance(each, dict))
            raise ConfigError(f"{path}: strategy.hosted has no {choice.name}; it has {there}")
        direct = mine[0].get("parameters") if mine else {}
    if not isinstance(direct or {}, dict):
        raise ConfigError(f"{path}: parameters: is a section of names and values")
    if not direct and not section and not hosted:
        raise ConfigError(f"{path}: says nothing about {choice.name}: no strategy.hosted, no parameters, no backtest")
    return choice.with_parameters(direct or {}), section


def value_of(text: str) -> Any:
    """A value of the command line, read as YAML: numbers stay numbers."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def parameter_of(text: str) -> tuple[str, Any]:
    """`name=value`.

    Raises:
        ConfigError: it is not.
    """
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise ConfigError(f"--param {text}: write name=value")
    return name, value_of(value)


def in_words(parameters: Mapping[str, Any]) -> str:
    """For tables and reports."""
    return ", ".join(f"{name}={json.dumps(value)}" for name, value in parameters.items()) or "all as they are by default"
