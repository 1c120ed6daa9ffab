"""Listen keys: USD-M's way to hear one's own events. A key lives 60 minutes, extended by asking for it again.

`events=` of a private connection is an allow list: leaving out `listenKeyExpired` means never being told.
"""

import hashlib
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from reactor.sim.faces.refusal import VenueError
from reactor.sim.faces.streams import Frame, Socket, Streams

_LETTERS: Final = string.ascii_letters + string.digits
KEY_LENGTH: Final = 64


@dataclass
class ListenKey:
    """One account's key."""

    name: str
    account: int
    expires_ns: int


class ListenKeys:
    """All keys, and who listens to which events of them."""

    def __init__(self, streams: Streams, life_ms: int) -> None:
        self._streams = streams
        self._life_ns = life_ms * 1_000_000
        self._by_account: dict[int, ListenKey] = {}
        self._minted = 0
        self.allowed: dict[int, frozenset[str]] = {}  # id of a socket → the events it asked for; absent: all

    def start(self, account: int, now_ns: int) -> str:
        """POST: the account's key, new or the same, good for another 60 minutes."""
        key = self._by_account.get(account)
        if key is None:
            self._minted += 1
            digest = hashlib.sha512(f"{account} {self._minted} {now_ns}".encode()).digest()
            name = "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest)[:KEY_LENGTH]
            key = self._by_account[account] = ListenKey(name, account, 0)
        key.expires_ns = now_ns + self._life_ns
        return key.name

    def extend(self, account: int, now_ns: int) -> str:
        """PUT: -1125 if there is none."""
        if account not in self._by_account:
            raise VenueError(-1125, "This listenKey does not exist.")
        return self.start(account, now_ns)

    def stop(self, account: int) -> None:
        """DELETE: from now on nobody hears anything under it."""
        self._by_account.pop(account, None)

    def publish(self, account: int, name: str, encode: Callable[[Any, int], bytes], event: Any) -> None:
        """One event, `name` its `e`, to everybody who listens and wants that kind."""
        key = self._by_account.get(account)
        if key is not None:
            self._publish(key, name, encode, event)

    def on_time(self, now_ns: int) -> None:
        """Ends keys that nobody extended."""
        for key in list(self._by_account.values()):
            if now_ns >= key.expires_ns:
                del self._by_account[key.account]
                self._publish(key, "listenKeyExpired", _expired, (key.name, now_ns))

    def close(self, socket: Socket) -> None:
        """The connection is gone."""
        self.allowed.pop(id(socket), None)

    def _publish(self, key: ListenKey, name: str, encode: Callable[[Any, int], bytes], event: Any) -> None:
        for is_microsecond, unit in ((False, 1_000_000), (True, 1_000)):
            topic = self._streams.topic(key.name, is_microsecond)
            if not topic.wanted:
                continue
            payload = encode(event, unit)
            for socket in topic.raw:
                if self._wants(socket, name):
                    socket.send(payload, Frame.USER)
            if topic.combined:
                wrapped = topic.prefix + payload + b"}"
                for socket in topic.combined:
                    if self._wants(socket, name):
                        socket.send(wrapped, Frame.USER)

    def _wants(self, socket: Socket, name: str) -> bool:
        allowed = self.allowed.get(id(socket))
        return allowed is None or name in allowed


def _expired(message: tuple[str, int], unit: int) -> bytes:
    name, now_ns = message
    return orjson.dumps({"e": "listenKeyExpired", "E": now_ns // unit, "listenKey": name})
