"""Client order ids: minted once from (prefix, epoch, number), at most 20 characters, `[A-Za-z0-9]` only.

    client order id = prefix (2–6 letters/digits) + epoch in base 36 (5 digits) + number in base 36 (8 digits)
    order_id        = epoch << 40 | number            (what our messages carry)

The epoch is persisted and grows at every start of prepost, so an id is never minted twice. The prefix tells ours from
anybody else's: two instances on one account must use different prefixes.
"""

from dataclasses import dataclass

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_PAIRS = tuple(first + second for first in _DIGITS for second in _DIGITS)  # two digits at a time
_PAIR_BYTES = tuple(pair.encode() for pair in _PAIRS)
EPOCH_DIGITS = 5
NUMBER_DIGITS = 8
NUMBER_BITS = 40
EPOCH_MAX = 36**EPOCH_DIGITS - 1  # 60 million starts; below 2^24 · 4, so order_id fits 64 bits
NUMBER_MAX = 2**NUMBER_BITS - 1


def base36(value: int, digits: int) -> str:
    """`value` ≥ 0 in base 36, zero-padded.

    Raises:
        ValueError: it does not fit `digits`.
    """
    text = ""
    for _ in range(digits >> 1):
        value, pair = divmod(value, 1296)
        text = _PAIRS[pair] + text
    if digits & 1:
        value, digit = divmod(value, 36)
        text = _DIGITS[digit] + text
    if value:
        raise ValueError(f"number too large for {digits} base-36 digits")
    return text


def order_id_of(epoch: int, number: int) -> int:
    """The 64-bit order id."""
    assert 0 < epoch < 2**24, "the epoch is a positive 24-bit number"
    assert 0 < number <= NUMBER_MAX, "the order number is a positive 40-bit number"
    return epoch << NUMBER_BITS | number


@dataclass(frozen=True)
class ClientIds:
    """Mints and recognises the client order ids of one instance."""

    prefix: str

    def __post_init__(self) -> None:
        if not (2 <= len(self.prefix) <= 6 and self.prefix.isascii() and self.prefix.isalnum()):
            raise ValueError(f"order id prefix {self.prefix!r}: use 2 to 6 letters or digits")

    def client_order_id(self, order_id: int) -> str:
        """The one string for this order, at the venue, in the journal and in every query."""
        return self.prefix + base36(order_id >> NUMBER_BITS, EPOCH_DIGITS) + base36(order_id & NUMBER_MAX, NUMBER_DIGITS)

    def order_id(self, client_order_id: str) -> int:
        """The order id inside a client order id of ours; 0 if it is not ours."""
        if not self.is_ours(client_order_id):
            return 0
        body = client_order_id[len(self.prefix) :]
        return int(body[:EPOCH_DIGITS], 36) << NUMBER_BITS | int(body[EPOCH_DIGITS:], 36)

    def is_ours(self, client_order_id: str) -> bool:
        """True if this instance (this prefix) minted it."""
        body = client_order_id[len(self.prefix) :]
        return (
            client_order_id.startswith(self.prefix)
            and len(body) == EPOCH_DIGITS + NUMBER_DIGITS
            and all(character in _DIGITS for character in body)
        )


class Mint:
    """Client order ids in ASCII, one after another: of a new one only the last two digits are rendered."""

    __slots__ = ("_first", "_head", "_ids")

    def __init__(self, ids: ClientIds) -> None:
        self._ids = ids
        self._first = -1  # order id whose last two digits are 00
        self._head = b""  # what it and the next 1295 have in common

    def client_order_id(self, order_id: int) -> bytes:
        """What `ClientIds.client_order_id` says of this order."""
        pair: int = (order_id & NUMBER_MAX) % 1296
        first = order_id - pair
        if first != self._first:
            self._first = first
            self._head = self._ids.client_order_id(first)[:-2].encode()
        return self._head + _PAIR_BYTES[pair]
