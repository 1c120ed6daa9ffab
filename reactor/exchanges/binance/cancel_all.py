"""Cancels every open order of ours on one venue, and believes it only when the venue lists none. Pure.

The engine does it over its own connections (engine/account.py), the supervisor where no engine is left.
"""

from collections.abc import Mapping
from typing import Any, Final

from reactor.domain.errors import RemoteProtocolError
from reactor.domain.ids import ClientIds
from reactor.domain.messages import Reason
from reactor.exchanges.binance.answers import read_open_orders, retry_at
from reactor.exchanges.binance.orders import BinanceOrders
from reactor.exchanges.binance.rules import read_server_ms
from reactor.exchanges.venue import Answer, OpenOrder, RestCall

LIMITED_MS: Final = 10_000  # How long to stop where a venue that refuses does not say: the shortest of its windows.
_TIMESTAMP: Final = int(Reason.TIMESTAMP)


class CancelAllOurs:
    """Cancels every open order with our prefix on one venue and confirms that none is left. Pure: bytes in, requests out.

        calls = work.start(local_ms)              make these requests (in parallel)
        calls = work.on_answer(tag, status, …)    … and tell every answer; until `is_done`
        calls = work.next_round(local_ms)         … and whenever `needs_round`, after a pause, not before `wait_until_ms`

    A round lists the open orders, cancels ours and lists again. It is confirmed only by a list from the venue without any
    of ours; network errors and refusals lead to another round, at most ROUNDS_MAX. Foreign orders are counted, never touched.

    A venue that says 429 and is asked again all the same bans the address: then nothing can be cancelled at all, for minutes.
    """

    ROUNDS_MAX: Final = 24  # With a pause of 0.2 s: as long as a stop may take.

    def __init__(self, codec: BinanceOrders, ids: ClientIds) -> None:
        self._codec = codec
        self._ids = ids
        self._offset_ms: int | None = None
        self._waiting: set[int] = set()
        self._tags = 0
        self._list_tag = -1
        self._time_tag = -1
        self._has_refusal = False
        self.rounds = 0
        self.cancelled: list[Mapping[str, Any]] = []  # what the venue said about each; the caller may take them out
        self.cancelled_count = 0
        self.foreign = 0
        self.remaining: tuple[OpenOrder, ...] = ()
        self.others: tuple[OpenOrder, ...] = ()  # the foreign ones
        self.failure = ""
        self.needs_round = False
        self.wait_until_ms = 0  # on our clock: the venue has told us to stop asking until then (429, 418)
        self.is_done = False
        self.is_confirmed = False

    def start(self, local_ms: int, offset_ms: int | None = None) -> list[tuple[int, RestCall]]:
        """The first requests, as (tag, call). `offset_ms` is venue minus local clock; None: it is asked for first."""
        self._offset_ms = offset_ms
        if offset_ms is None:
            self._time_tag = self._tag()
            return [(self._time_tag, self._codec.time_call())]
        return self.next_round(local_ms)

    def next_round(self, local_ms: int) -> list[tuple[int, RestCall]]:
        """Lists the open orders once more."""
        self.needs_round = False
        if self.rounds >= self.ROUNDS_MAX:
            self.is_done = True
            return []
        self.rounds += 1
        self._has_refusal = False
        if self._offset_ms is None:
            self._time_tag = self._tag()
            return [(self._time_tag, self._codec.time_call())]
        self._list_tag = self._tag()
        return [(self._list_tag, self._codec.open_orders_call(self._venue_ms(local_ms)))]

    def on_answer(
        self, tag: int, status: int, headers: Mapping[str, str], body: bytes, local_ms: int
    ) -> list[tuple[int, RestCall]]:
        """One answer (status 0: the network had none, or the request was not made). Returns what to ask next."""
        if tag not in self._waiting or self.is_done:
            return []
        self._waiting.discard(tag)
        is_told_to_stop = status in (429, 418)
        if is_told_to_stop:
            self.wait_until_ms = max(self.wait_until_ms, retry_at(headers, local_ms) or local_ms + LIMITED_MS)
        if tag == self._time_tag:
            if is_told_to_stop:
                self.failure = f"the venue refuses every request for now (HTTP {status})"
                self.needs_round = True
                return []
            try:
                self._offset_ms = read_server_ms(body) - local_ms
            except RemoteProtocolError:
                self._offset_ms = 0  # Our clock may still be good enough; the venue will say so.
            return self.next_round(local_ms)
        answer = self._codec.read_response(status, headers, body, self._venue_ms(local_ms))
        if answer.status != 200 and self._codec.classify(answer).reason == _TIMESTAMP:
            self._offset_ms = None  # It is not: the next round begins with the venue's time.
        if tag == self._list_tag:
            return self._on_list(answer, local_ms)
        if answer.status == 200:
            self.cancelled.append(answer.result)
            self.cancelled_count += 1
        else:  # Most often it was filled or cancelled in between; the next list tells.
            self.failure = f"{answer.error_text} ({answer.error_code})"
            self._has_refusal = True
        if self._waiting:
            return []
        if self._has_refusal:
            self.needs_round = True
            return []
        return self.next_round(local_ms)

    def _on_list(self, answer: Answer, local_ms: int) -> list[tuple[int, RestCall]]:
        if answer.status != 200 or not isinstance(answer.result, list):
            self.failure = f"{answer.error_text or 'no answer'} ({answer.error_code})"
            self.needs_round = True
            return []
        orders = read_open_orders(answer.result)
        self.remaining = tuple(order for order in orders if self._ids.is_ours(order.client_order_id))
        self.others = tuple(order for order in orders if not self._ids.is_ours(order.client_order_id))
        self.foreign = len(self.others)
        if not self.remaining:
            self.is_done = self.is_confirmed = True
            return []
        timestamp_ms = self._venue_ms(local_ms)
        return [
            (self._tag(), self._codec.cancel_call(order.symbol, order.client_order_id, timestamp_ms, order.venue_order_id))
            for order in self.remaining
        ]

    def _venue_ms(self, local_ms: int) -> int:
        return local_ms + (self._offset_ms or 0)

    def _tag(self) -> int:
        self._tags += 1
        self._waiting.add(self._tags)
        return self._tags
