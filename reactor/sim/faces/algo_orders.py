"""Conditional orders of USD-M (`/fapi/v1/algoOrder`): they wait for a price and then become an ordinary order.

No margin is checked before the trigger. The trigger looks at the last trade (CONTRACT_PRICE) or the mark price (MARK_PRICE):

    BUY STOP, SELL TAKE_PROFIT      price ≥ trigger
    SELL STOP, BUY TAKE_PROFIT      price ≤ trigger
    TRAILING_STOP_MARKET            once past `activatePrice`, the price comes back from its best by `callbackRate` %
"""

from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from reactor.domain.units import parse_e8
from reactor.sim.events import Event, MarkPriceEvent, Placed, TradeEvent
from reactor.sim.faces.public import Time
from reactor.sim.faces.refusal import INVALID_SYMBOL, VenueError
from reactor.sim.faces.request import Params
from reactor.sim.symbols import SymbolRules, amount_text
from reactor.sim.venue import VenueCore

TYPES: Final = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")
OPEN_MAX: Final = 200  # per account
ID_FIRST: Final = 2_146_760


@dataclass(eq=False)
class AlgoOrder:
    """One conditional order."""

    algo_id: int
    client_id: str
    account: int
    rules: SymbolRules
    side: str
    position_side: str
    type: str
    time_in_force: str
    quantity: str
    price: str
    trigger_e8: int
    working_type: str
    close_position: bool
    reduce_only: bool
    activate_e8: int
    callback_e2: int  # hundredths of a percent
    created_ns: int
    updated_ns: int
    status: str = "NEW"
    best_e8: int = 0  # trailing: the best price since it is active
    order_id: int = 0
    reason: str = ""

    @property
    def is_stop(self) -> bool:
        """True for a stop, False for a take-profit."""
        return self.type.startswith("STOP")

    def is_triggered(self, price_e8: int) -> bool:
        """Whether this price releases it; a trailing stop follows the price meanwhile."""
        is_buy = self.side == "BUY"
        if self.type != "TRAILING_STOP_MARKET":
            return price_e8 >= self.trigger_e8 if is_buy == self.is_stop else price_e8 <= self.trigger_e8
        if not self.best_e8:
            is_active = not self.activate_e8 or (price_e8 <= self.activate_e8 if is_buy else price_e8 >= self.activate_e8)
            if is_active:
                self.best_e8 = price_e8
            return False
        self.best_e8 = min(self.best_e8, price_e8) if is_buy else max(self.best_e8, price_e8)
        distance_e8 = self.best_e8 * self.callback_e2 // 10_000
        return price_e8 >= self.best_e8 + distance_e8 if is_buy else price_e8 <= self.best_e8 - distance_e8


@dataclass(frozen=True)
class AlgoUpdate:
    """An ALGO_UPDATE to send: the order as it was then."""

    order: AlgoOrder
    status: str
    time_ns: int


@dataclass
class AlgoOrders:
    """All conditional orders of the venue."""

    core: VenueCore
    _orders: dict[int, AlgoOrder] = field(default_factory=dict)
    _open: dict[int, AlgoOrder] = field(default_factory=dict)
    _updates: list[AlgoUpdate] = field(default_factory=list)

    @property
    def has_orders(self) -> bool:
        """True while any waits."""
        return bool(self._open)

    def place(self, account: int, params: Params, now_ns: int) -> AlgoOrder:
        """POST algoOrder."""
        params.choice("algoType", ("CONDITIONAL",), -1130, "Data sent for parameter 'algoType' is not valid.")
        rules = self.core.symbols.get(params.text("symbol"))
        if rules is None:
            raise VenueError(*INVALID_SYMBOL)
        side = params.choice("side", ("BUY", "SELL"), -1117, "Invalid side.")
        kind = params.choice("type", TYPES, -1116, "Invalid orderType.")
        is_trailing = kind == "TRAILING_STOP_MARKET"
        closes = params.boolean("closePosition", False)
        if closes and "quantity" in params:
            raise VenueError(-4137, "Quantity is not allowed with closePosition.")
        identity = len(self._orders) + ID_FIRST
        client_id = params.optional("clientAlgoId", f"algo{identity}")
        if any(order.client_id == client_id and order.account == account for order in self._open.values()):
            raise VenueError(-4116, "ClientOrderId is duplicated.")
        if sum(order.account == account for order in self._open.values()) >= OPEN_MAX:
            raise VenueError(-4045, "Reach max stop order limit.")
        callback = params.decimal("callbackRate") if is_trailing else "0"
        order = AlgoOrder(
            algo_id=identity,
            client_id=client_id,
            account=account,
            rules=rules,
            side=side,
            position_side=params.optional("positionSide", "BOTH"),
            type=kind,
            time_in_force=params.optional("timeInForce", "GTC"),
            quantity="0" if closes else params.decimal("quantity"),
            price=params.decimal("price") if kind in ("STOP", "TAKE_PROFIT") else "0",
            trigger_e8=0 if is_trailing else parse_e8(params.decimal("triggerPrice")),
            working_type=params.choice(
                "workingType",
                ("CONTRACT_PRICE", "MARK_PRICE"),
                -1130,
                "Data sent for parameter 'workingType' is not valid.",
                "CONTRACT_PRICE",
            ),
            close_position=closes,
            reduce_only=params.boolean("reduceOnly", False),
            activate_e8=parse_e8(params.optional_decimal("activatePrice") or "0"),
            callback_e2=parse_e8(callback) // 1_000_000,
            created_ns=now_ns,
            updated_ns=now_ns,
        )
        day = self.core.day(rules.symbol)
        last_e8 = getattr(day, "last_ticks", 0) * rules.tick_e8
        if last_e8 and not is_trailing and order.is_triggered(last_e8):
            raise VenueError(-2021, "Order would immediately trigger.")
        self._orders[identity] = self._open[identity] = order
        self._tell(order, "NEW", now_ns)
        return order

    def cancel(self, account: int, params: Params, now_ns: int) -> AlgoOrder:
        """DELETE algoOrder: -2011 if it does not wait any more."""
        order = self._find(account, params)
        if order is None or order.algo_id not in self._open:
            raise VenueError(-2011, "Unknown order sent.")
        self._end(order, "CANCELED", now_ns)
        return order

    def cancel_all(self, account: int, symbol: str, now_ns: int) -> None:
        """DELETE algoOpenOrders."""
        for order in self.rows(account, symbol, True):
            self._end(order, "CANCELED", now_ns)

    def query(self, account: int, params: Params) -> AlgoOrder:
        """GET algoOrder: -2013 if there is none."""
        order = self._find(account, params)
        if order is None:
            raise VenueError(-2013, "Order does not exist.")
        return order

    def rows(self, account: int, symbol: str, only_open: bool) -> list[AlgoOrder]:
        """Oldest first; `symbol` "" = all."""
        source = self._open if only_open else self._orders
        return [row for row in source.values() if row.account == account and symbol in ("", row.rules.symbol)]

    def on_event(self, event: Event, now_ns: int) -> None:
        """A price: releases what it triggers."""
        if type(event) is TradeEvent:
            self._on_price(event.rules, "CONTRACT_PRICE", event.price_ticks * event.rules.tick_e8, now_ns)
        elif type(event) is MarkPriceEvent:
            self._on_price(event.mark.rules, "MARK_PRICE", event.mark.mark_e8, now_ns)

    def take_updates(self) -> list[AlgoUpdate]:
        """What the accounts must hear."""
        updates, self._updates = self._updates, []
        return updates

    def _on_price(self, rules: SymbolRules, working_type: str, price_e8: int, now_ns: int) -> None:
        for order in list(self._open.values()):
            if order.rules is rules and order.working_type == working_type and order.is_triggered(price_e8):
                self._release(order, now_ns)

    def _release(self, order: AlgoOrder, now_ns: int) -> None:
        fields = {
            "symbol": order.rules.symbol,
            "side": order.side,
            "positionSide": order.position_side,
            "type": "LIMIT" if order.type in ("STOP", "TAKE_PROFIT") else "MARKET",
            "quantity": order.quantity,
            "newClientOrderId": order.client_id,
        }
        if fields["type"] == "LIMIT":
            fields |= {"price": order.price, "timeInForce": order.time_in_force}
        if order.close_position:
            rows = self.core.positions(order.account, order.rules.symbol)
            lots = sum(row.amount_lots for row in rows if row.position_side == order.position_side)
            fields["quantity"] = order.rules.quantity_text(abs(lots))
        if (order.reduce_only or order.close_position) and order.position_side == "BOTH":
            fields["reduceOnly"] = "true"
        answer = self.core.place(order.account, fields, now_ns)
        if isinstance(answer, Placed):
            order.order_id = answer.order.order_id
            self._tell(order, "TRIGGERED", now_ns)
            self._end(order, "FINISHED", now_ns)
        else:
            order.reason = answer.message
            self._end(order, "REJECTED", now_ns)

    def _end(self, order: AlgoOrder, status: str, now_ns: int) -> None:
        self._open.pop(order.algo_id, None)
        self._tell(order, status, now_ns)

    def _tell(self, order: AlgoOrder, status: str, now_ns: int) -> None:
        order.status = status
        order.updated_ns = now_ns
        self._updates.append(AlgoUpdate(order, status, now_ns))

    def _find(self, account: int, params: Params) -> AlgoOrder | None:
        if "algoId" in params:
            order = self._orders.get(params.integer("algoId"))
            return order if order is not None and order.account == account else None
        client_id = params.text("clientAlgoId")
        found = [row for row in self._orders.values() if row.account == account and row.client_id == client_id]
        return found[-1] if found else None

    # --- on the wire

    def fields(self, order: AlgoOrder, time: Time) -> dict[str, Any]:
        """POST and GET algoOrder."""
        places = order.rules.price_places
        return {
            "algoId": order.algo_id,
            "clientAlgoId": order.client_id,
            "algoType": "CONDITIONAL",
            "orderType": order.type,
            "symbol": order.rules.symbol,
            "side": order.side,
            "positionSide": order.position_side,
            "timeInForce": order.time_in_force,
            "quantity": order.quantity,
            "algoStatus": order.status,
            "actualOrderId": str(order.order_id) if order.order_id else "",
            "triggerPrice": amount_text(order.trigger_e8, places),
            "price": order.price,
            "icebergQuantity": None,
            "selfTradePreventionMode": "EXPIRE_MAKER",
            "workingType": order.working_type,
            "priceMatch": "NONE",
            "closePosition": order.close_position,
            "priceProtect": False,
            "reduceOnly": order.reduce_only,
            "activatePrice": amount_text(order.activate_e8, places) if order.activate_e8 else "",
            "callbackRate": f"{order.callback_e2 / 100:g}" if order.callback_e2 else "",
            "createTime": time(order.created_ns),
            "updateTime": time(order.updated_ns),
            "triggerTime": time(order.updated_ns) if order.order_id else 0,
            "goodTillDate": 0,
        }

    def encode_update(self, update: AlgoUpdate, unit: int) -> bytes:
        """`ALGO_UPDATE`."""
        order = update.order
        places = order.rules.price_places
        body: dict[str, Any] = {
            "caid": order.client_id,
            "aid": order.algo_id,
            "at": "CONDITIONAL",
            "o": order.type,
            "s": order.rules.symbol,
            "S": order.side,
            "ps": order.position_side,
            "f": order.time_in_force,
            "q": order.quantity,
            "X": update.status,
            "ai": str(order.order_id) if order.order_id else "",
            "tp": amount_text(order.trigger_e8, places),
            "p": order.price,
            "V": "EXPIRE_MAKER",
            "wt": order.working_type,
            "pm": "NONE",
            "cp": order.close_position,
            "pP": False,
            "R": order.reduce_only,
            "tt": update.time_ns // unit if order.order_id else 0,
            "gtd": 0,
        }
        if order.reason:
            body["rm"] = order.reason
        return orjson.dumps({"e": "ALGO_UPDATE", "T": update.time_ns // unit, "E": update.time_ns // unit, "o": body})
