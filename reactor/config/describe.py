"""A config as complete, commented YAML: every key with its value, and the reason that stands beside it in the source.

The comments of the parameter dataclasses are the documentation of the config; they are not written a second time.
"""

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

import yaml
from pydantic import BaseModel

COMMENT_WIDTH = 110
_FIELD = re.compile(r"^    (\w+): .*?(?:  # (.*))?$")


def commented_yaml(config: BaseModel) -> str:
    """The whole config. Loading it gives the same config again."""
    return "\n".join(_lines(config, 0)) + "\n"


def _lines(node: Any, depth: int) -> Iterator[str]:
    indent = "  " * depth
    kind: type = getattr(type(node), "declared_in", None) or type(node)
    comments = _comments(kind)
    for name, value in _items(node):
        if depth == 0:
            yield ""
        comment = comments.get(name, "")
        if _is_section(value):
            summary = _summary(type(value))
            if comment or summary:
                yield f"{indent}# {comment or summary}"
            yield f"{indent}{name}:"
            yield from _lines(value, depth + 1)
            continue
        line = f"{indent}{name}: {_scalar(value)}"
        if comment and len(line) + len(comment) > COMMENT_WIDTH:
            yield f"{indent}# {comment}"
            yield line
        else:
            yield f"{line}  # {comment}" if comment else line


def _items(node: Any) -> Iterator[tuple[str, Any]]:
    names = list(type(node).model_fields) if isinstance(node, BaseModel) else [each.name for each in fields(node)]
    for name in names:
        yield name, getattr(node, name)


def _is_section(value: Any) -> bool:
    return isinstance(value, BaseModel) or (is_dataclass(value) and not isinstance(value, type))


def _scalar(value: Any) -> str:
    plain = _plain(value)
    return yaml.safe_dump(plain, default_flow_style=True, width=10**6, sort_keys=False).removesuffix("\n...\n").strip()


def _plain(value: Any) -> Any:
    """Tuples, enums, nested models → what YAML can say."""
    if isinstance(value, BaseModel):
        return {name: _plain(inner) for name, inner in _items(value)}
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(inner) for name, inner in _items(value)}
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


def _summary(kind: type) -> str:
    """The first sentence of a section's docstring, unless it is the dataclass machinery's own."""
    text = (kind.__doc__ or "").strip().split("\n")[0]
    return "" if text.startswith(f"{kind.__name__}(") else text


@cache
def _comments(kind: type) -> dict[str, str]:
    """Field → the comment beside it, or the comment lines above it."""
    try:
        source = inspect.getsource(kind)
    except (OSError, TypeError):
        return {}
    found: dict[str, str] = {}
    above: list[str] = []
    for line in source.splitlines():
        if line.startswith("    # "):
            above.append(line.strip().removeprefix("# "))
            continue
        match = _FIELD.match(line)
        if match is not None:
            found[match[1]] = match[2] or " ".join(above)
        above = []
    return found
