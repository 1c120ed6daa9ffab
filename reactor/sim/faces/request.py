"""One REST request and its answer, and the typed reading of its parameters."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from urllib.parse import unquote_plus

from reactor.sim.faces.refusal import VenueError

JSON: Final = "application/json;charset=UTF-8"
MICROSECONDS_FROM: Final = 10**14  # A time above this cannot be milliseconds (year 5138): the sender counts microseconds.

_DECIMAL = re.compile(r"^([0-9]{1,20})(\.[0-9]{1,20})?$")
_INTEGER = re.compile(r"^-?[0-9]{1,20}$")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What came in, unchanged: signatures are made over the bytes as sent."""

    method: str
    path: str  # without the query
    query: str = ""  # as sent, without "?"
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    body: bytes = b""
    ip: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What goes out."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON
    delay_ns: int = 0  # answer so much later (a fault)
    is_cut: bool = False  # do not answer: cut the connection (a fault)


def split_pairs(text: str) -> list[tuple[str, str]]:
    """`a=1&b=2` → pairs, percent-decoded."""
    pairs = []
    for part in text.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append(
                (
                    unquote_plus(name) if "%" in name or "+" in name else name,
                    unquote_plus(value) if "%" in value or "+" in value else value,
                )
            )
    return pairs


def without_signature(text: str) -> str:
    """The part of a query or form that is signed: everything as sent but `signature=…`."""
    if "signature=" not in text:
        return text
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))


class Params:
    """The parameters of one request with the venue's complaints about them.

    Values are strings (REST) or JSON scalars turned into strings (WebSocket API). Every getter refuses with the venue's code:
    -1102 missing or malformed, -1105 empty, -1100 illegal characters.
    """

    __slots__ = ("payload", "values")

    def __init__(self, values: dict[str, str], payload: str = "") -> None:
        self.values = values
        self.payload = payload  # what the signature was made over

    @classmethod
    def of_request(cls, request: HttpRequest) -> "Params":
        """Query and form body. "The same name in both places: the query string wins"."""
        try:
            body = request.body.decode()
            request.query.encode()  # What was no UTF-8 on the wire came in as surrogates.
        except UnicodeError:
            raise VenueError(-1100, "Illegal characters found in a parameter.") from None
        if body[:1] in "{[":  # A JSON body is nobody's form: the venue ignores it.
            body = ""
        values: dict[str, str] = {}
        for name, value in split_pairs(body):
            values[name] = value
        for name, value in split_pairs(request.query):
            values[name] = value
        return cls(values, without_signature(request.query) + without_signature(body))

    @classmethod
    def of_message(cls, params: Mapping[str, Any]) -> "Params":
        """A WebSocket API request's `params`: signed sorted by name, `k=v` joined with `&`, not percent-encoded."""
        values = {str(name): text_of(value) for name, value in params.items() if value is not None}
        payload = "&".join(f"{name}={values[name]}" for name in sorted(values) if name != "signature")
        return cls(values, payload)

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def text(self, name: str) -> str:
        """A mandatory string."""
        value = self.values.get(name)
        if value is None:
            raise missing(name)
        if not value:
            raise VenueError(-1105, f"Parameter '{name}' was empty.")
        return value

    def optional(self, name: str, default: str = "") -> str:
        """A string that may be absent, but not empty."""
        value = self.values.get(name)
        if value is None:
            return default
        if not value:
            raise VenueError(-1105, f"Parameter '{name}' was empty.")
        return value

    def integer(self, name: str) -> int:
        """A mandatory integer."""
        value = self.text(name)
        if not _INTEGER.match(value):
            raise illegal(name, "^[0-9]{1,20}$")
        return int(value)

    def optional_integer(self, name: str, default: int) -> int:
        """An integer that may be absent."""
        return self.integer(name) if name in self.values else default

    def decimal(self, name: str) -> str:
        """A mandatory decimal, as text: a plain number without sign or exponent."""
        value = self.text(name)
        if not _DECIMAL.match(value):
            raise illegal(name, "^([0-9]{1,20})(\\.[0-9]{1,20})?$")
        return value

    def optional_decimal(self, name: str) -> str | None:
        """A decimal that may be absent."""
        return self.decimal(name) if name in self.values else None

    def boolean(self, name: str, default: bool) -> bool:
        """true or false, in any case."""
        value = self.optional(name, "true" if default else "false").lower()
        if value not in ("true", "false"):
            raise VenueError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
        return value == "true"

    def time_ms(self, name: str, default: int | None = None) -> int | None:
        """A time in ms (or µs, told by its size), in ms."""
        if name not in self.values:
            return default
        value = self.integer(name)
        return value // 1000 if value >= MICROSECONDS_FROM else value

    def limit(self, default: int, maximum: int) -> int:
        """`limit` ≥ 1; more than the maximum is the maximum."""
        limit = self.optional_integer("limit", default)
        if limit < 1:
            raise VenueError(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(limit, maximum)

    def choice(self, name: str, allowed: tuple[str, ...], code: int, text: str, default: str = "") -> str:
        """One word of `allowed`; anything else is refused with `code` and `text`."""
        value = self.optional(name, default) if default else self.text(name)
        if value not in allowed:
            raise VenueError(code, text)
        return value


def text_of(value: Any) -> str:
    """A JSON scalar as the venue reads (and signs) it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    if isinstance(value, list):
        return "[" + ",".join(f'"{item}"' if isinstance(item, str) else text_of(item) for item in value) + "]"
    return str(value)


def missing(name: str) -> VenueError:
    """-1102."""
    return VenueError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def illegal(name: str, pattern: str) -> VenueError:
    """-1100."""
    return VenueError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'.")
