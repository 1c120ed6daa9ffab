"""From YAML, environment and command line to one validated Config, or to every problem at once.

Later wins:

    defaults of the schema ← profile (shipped) ← --config FILE ← environment ← --set path=value ← options of the command

An environment variable CRYPTO_TRADE__SECTION__KEY overrides `section.key`; its value is read as YAML, so numbers stay
numbers and `[a, b]` is a list. A number in the path is a place in a list.
"""

import copy
import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from reactor.config.contradictions import contradictions
from reactor.config.schema import Config
from reactor.domain.errors import ConfigError

ENVIRONMENT_PREFIX = "CRYPTO_TRADE__"
PROFILES = ("generated", "replay", "paper", "demo", "testnet", "live")

REFUSALS_MAX = 5  # Rounds of leaving refused values out; each takes at least one, a handful shows what there is.

Tree = dict[str, Any]


def profile_text(name: str) -> str:
    """The YAML of a shipped profile.

    Raises:
        ConfigError: there is no such profile.
    """
    if name not in PROFILES:
        near = difflib.get_close_matches(name, PROFILES, 1)
        raise ConfigError(
            f"profile: there is no {name!r}; " + (f"did you mean {near[0]!r}?" if near else f"use {', '.join(PROFILES)}")
        )
    return resources.files("reactor.config").joinpath("profiles", f"{name}.yaml").read_text()


def load(
    profile: str | None = None,
    path: Path | None = None,
    environment: Mapping[str, str] | None = None,
    assignments: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> Config:
    """The whole way. `assignments` are "path.to.key=value" of --set; `options` maps paths to values of other options.

    Raises:
        ConfigError: with every problem found.
    """
    own: Tree = _beside(read_yaml(path), path.resolve().parent) if path is not None else {}
    problems: list[str] = []
    overrides: list[tuple[str, list[str], Any]] = []
    for name, text in sorted((environment or {}).items()):
        if name.startswith(ENVIRONMENT_PREFIX):
            keys = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
            overrides.append((f"environment variable {name}", keys, _value(text, name, problems)))
    for text in assignments:
        left, equals, right = text.partition("=")
        if not equals or not left:
            problems.append(f"--set {text!r}: write path.to.key=value")
            continue
        overrides.append((f"--set {left}", left.split("."), _value(right, f"--set {left}", problems)))
    for dotted, value in (options or {}).items():
        overrides.append((dotted, dotted.split("."), value))
    chosen = (
        profile or next((value for _, keys, value in reversed(overrides) if keys == ["profile"]), None) or own.get("profile")
    )
    chosen = chosen if isinstance(chosen, str) else "generated"
    tree = merge(_parse(profile_text(chosen), f"profile {chosen}"), own)
    tree["profile"] = chosen
    origins: dict[str, str] = {}
    for origin, keys, value in overrides:
        if keys == ["profile"]:
            continue
        keys = _spelled(tree, keys)
        origins[".".join(keys)] = origin
        try:
            _put(tree, keys, value)
        except (IndexError, TypeError, ValueError) as error:
            problems.append(f"{origin}: {error}")
    source = str(path) if path is not None else f"profile {chosen}"
    try:
        config = _validated(tree)
    except ValidationError as error:
        problems += _sentences(error, source, origins)
        problems += _contradictions_beside(tree, error)
        raise ConfigError(problems) from None
    problems += contradictions(config)
    if problems:
        raise ConfigError(problems)
    return config


def _validated(tree: Tree) -> Config:
    return Config.model_validate_json(json.dumps(tree, default=str))


def _contradictions_beside(tree: Tree, error: ValidationError) -> list[str]:
    """What else is wrong in a tree of which some values are refused: all problems at once, not one kind after the other.

    The refused values are left out, so that their defaults stand in for them; what is said about those is no news.
    """
    refused: list[str] = []
    tree = copy.deepcopy(tree)
    for _ in range(REFUSALS_MAX):
        for each in error.errors(include_url=False, include_context=False):
            location = _leave_out(tree, each["loc"])
            if not location:
                return []
            refused.append(".".join(location))
        try:
            config = _validated(tree)
        except ValidationError as next_error:
            error = next_error
            continue
        return [
            text for text in contradictions(config) if not any(text.startswith((f"{path}:", f"{path}.")) for path in refused)
        ]
    return []


def _leave_out(tree: Any, location: Sequence[int | str]) -> list[str]:
    """Takes the value at `location` out, or the nearest that is there. Returns where; empty: nothing could be taken out."""
    path: list[Any] = []
    node = tree
    for part in location:
        is_key = isinstance(node, dict) and part in node
        if not is_key and not (isinstance(node, list) and isinstance(part, int) and part < len(node)):
            break  # Missing, or a type's name inside a union.
        path.append(part)
        node = node[part]
    if not path:
        return []
    node = tree
    for part in path[:-1]:
        node = node[part]
    del node[path[-1]]
    return [str(part) for part in path]


def read_yaml(path: Path) -> Tree:
    """A config file.

    Raises:
        ConfigError: it cannot be read, or is not YAML, or not a mapping.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a text file") from None
    return _parse(text, str(path))


def _beside(node: Any, directory: Path, key: str = "") -> Any:
    """The tree with every file that it names relative to the config file made absolute: it works from any directory."""
    if isinstance(node, dict):
        return {name: _beside(value, directory, name) for name, value in node.items()}
    if isinstance(node, list):
        return [_beside(value, directory, key) for value in node]
    names_a_file = key in ("file", "replay_paths") or key.endswith(("_file", "_files"))
    return str(directory / Path(node).expanduser()) if names_a_file and isinstance(node, str) and node else node


class _UniqueKeys(yaml.SafeLoader):
    """YAML forgets the first of two equal keys; we refuse the second."""


def _unique_mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> Tree:
    seen: set[str] = set()
    for key_node, _ in node.value:
        key = str(key_node.value)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} appears twice", key_node.start_mark)
        seen.add(key)
    mapping = loader.construct_mapping(node, deep=True)
    return {str(key): value for key, value in mapping.items()}


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def _parse(text: str, where: str) -> Tree:
    try:
        tree = yaml.load(text, _UniqueKeys)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}:{mark.line + 1}" if mark is not None else where
        raise ConfigError(f"{place}: not valid YAML: {getattr(error, 'problem', None) or error}") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{where}: a config file is a mapping of sections (exchanges, risk_control, strategy, system)")
    return tree


def merge(base: Tree, over: Tree) -> Tree:
    """`over` onto `base`: mappings are merged, everything else is replaced. Neither argument changes."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _value(text: str, where: str, problems: list[str]) -> Any:
    try:
        return yaml.safe_load(text) if text.strip() else text
    except yaml.YAMLError:
        problems.append(f"{where}: {text!r} is not a YAML value; quote it")
        return text


def _spelled(tree: Tree, keys: list[str]) -> list[str]:
    """Environment variables have no case: a key that exists in another spelling is meant."""
    spelled: list[str] = []
    node: Any = tree
    for key in keys:
        if isinstance(node, dict) and key not in node:
            key = next((each for each in node if each.lower() == key), key)
        spelled.append(key)
        node = node.get(key) if isinstance(node, dict) else None
    return spelled


def _put(tree: Tree, keys: Sequence[str], value: Any) -> None:
    node: Any = tree
    for depth, key in enumerate(keys[:-1]):
        if isinstance(node, list):
            node = node[int(key)]
            continue
        if not isinstance(node.get(key), dict | list):
            if key in node and node[key] is not None:
                raise TypeError(f"{'.'.join(keys[: depth + 1])} is a value, not a section")
            node[key] = {}
        elif isinstance(node[key], dict):
            node[key] = dict(node[key])
        else:
            node[key] = list(node[key])
        node = node[key]
    if isinstance(node, list):
        node[int(keys[-1])] = value
    else:
        node[keys[-1]] = value


# -- sentences ---------------------------------------------------------------------------------------------------


def _sentences(error: ValidationError, source: str, origins: Mapping[str, str]) -> list[str]:
    return [_sentence(each, source, origins) for each in error.errors(include_url=False)]


def _sentence(each: Any, source: str, origins: Mapping[str, str]) -> str:
    location = [str(part) for part in each["loc"] if part != "__root__"]
    path = ".".join(location)
    origin = origins.get(path)
    where = f"{path} ({origin or source})"
    kind, given = each["type"], each.get("input")
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        known = list(keys_at(Config, location[:-1]))
        near = difflib.get_close_matches(location[-1], known, 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else (f"known here: {', '.join(sorted(known))}" if known else "remove it")
        return f"{where}: unknown key; {hint}"
    if kind in ("missing", "missing_argument"):
        return f"{where}: missing; add it"
    message = each["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = message.replace("Input should be", "must be")
    shown = repr(given) if not isinstance(given, dict | list) else type(given).__name__
    return f"{where}: {message}, not {shown}" if message.startswith("must be") else f"{where}: {message}"


def keys_at(model: Any, location: Iterable[str]) -> Iterable[str]:
    """The keys that the schema knows at a path; nothing where it is free."""
    node: Any = model
    for part in location:
        types = _members(node)
        if part in types:
            node = _structured(types[part])
        elif node is None:
            return []
        else:
            node = _structured_item(node)
    return list(_members(node))


def _members(node: Any) -> dict[str, Any]:
    if isinstance(node, type) and issubclass(node, BaseModel):
        return {name: info.annotation for name, info in node.model_fields.items()}
    if is_dataclass(node):
        hints = {each.name: each.type for each in fields(node)}
        import typing

        try:
            return dict(typing.get_type_hints(node)) | {}
        except NameError:
            return dict(hints)
    return {}


def _structured(annotation: Any) -> Any:
    """The model or dataclass inside an annotation, if there is one."""
    for each in (annotation, *get_args(annotation)):
        if isinstance(each, type) and (issubclass(each, BaseModel) or is_dataclass(each)):
            return each
        for inner in get_args(each):
            if isinstance(inner, type) and (issubclass(inner, BaseModel) or is_dataclass(inner)):
                return inner
    return None


def _structured_item(node: Any) -> Any:
    return node if _members(node) else None
