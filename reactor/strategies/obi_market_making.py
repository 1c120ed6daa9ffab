"""Market making on order book imbalance: quotes both sides of a price that leans where the book leans.

    fair        = mid + c1 · z(bid depth − ask depth within `looking_depth`)
    half spread = half_spread · max(volatility, 1 tick) ^ power
    reservation = fair − skew · position / order_qty
    bids        = reservation − half spread, and grid_num steps of grid_interval below; asks likewise above

Never beyond the touch, never outside the region of interest, never more than max_position. A side moves only when its first
price would move by `replace_ticks`; after `live_seconds` its orders are withdrawn once and placed anew. When the stop loss
cries, everything is withdrawn, the position is sold at once, and nothing is quoted for `stop_seconds`.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from reactor.factors.imbalance import BUY, SELL, ask_limit, bid_limit, depth_lots
from reactor.factors.kernels import (
    GUARD_NORMAL,
    ROLLING_HEAD,
    guard_init,
    guard_size,
    guard_update,
    integers,
    rolling_init,
    rolling_is_full,
    rolling_push,
    rolling_zscore,
    state,
    volatility_init,
    volatility_size,
    volatility_update,
    volatility_value,
)
from reactor.strategies.strategy import WISH_QUOTE, WISH_REDUCE, KernelStrategy, MarketView, Scale, want

MS = 1_000_000
SECOND = 1_000_000_000
FLATTEN_INTERVAL_NS = SECOND  # Between two attempts to flatten: longer than any fill takes to be known.
BID_TICKS, BID_SINCE, ASK_TICKS, ASK_SINCE, STOPPED_UNTIL, FLATTEN_AFTER, PLACES = 0, 1, 2, 3, 4, 5, 6


@dataclass(frozen=True)
class ObiParameters:
    """Prices in the quote currency, quantities in the base asset, times as named."""

    order_qty: float = 0.002  # one rung
    max_position: float = 0.02  # held and quoted together never pass it
    grid_num: int = 2  # rungs per side
    grid_interval: float = 1.0  # between rungs; first prices stand on multiples of it
    roi_lb: float = 0.0  # region of interest; 0: no bound
    roi_ub: float = 0.0
    looking_depth: float = 0.001  # share of the mid
    window: int = 300  # samples of the imbalance, one per decision: 30 s
    half_spread: float = 2.0
    skew: float = 0.5  # per order_qty of position
    c1: float = 2.0  # price per standard deviation of the imbalance
    power: float = 0.25  # of the volatility in ticks; 0: a constant spread
    live_seconds: float = 20.0
    update_interval_ms: int = 100
    volatility_interval_ms: int = 200
    volatility_window: int = 100  # changes
    volatility_samples_min: int = 20
    replace_ticks: int = 1
    stop_volatility_z: float = 8.0
    stop_change_z: float = 12.0
    stop_window: int = 100  # changes, and volatilities, that the stop loss compares with
    stop_seconds: float = 10.0
    flatten_through_ticks: int = 50  # how far through the touch the order goes that flattens

    def __post_init__(self) -> None:
        for name in ("order_qty", "max_position", "grid_num", "grid_interval", "looking_depth", "window", "live_seconds",
                     "update_interval_ms", "volatility_interval_ms", "volatility_window", "stop_window"):  # fmt: skip
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: must be greater than 0")
        for name in ("half_spread", "skew", "power", "roi_lb", "roi_ub", "stop_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: must not be negative")
        if self.grid_num > 24:
            raise ValueError(f"grid_num: {self.grid_num} rungs per side; at most 24")
        if self.looking_depth >= 1:
            raise ValueError("looking_depth: is a share of the mid, below 1")


class ObiNumbers(NamedTuple):
    """The parameters in ticks, lots and nanoseconds."""

    order_lots: int
    position_lots_max: int
    grid_num: int
    grid_interval_ticks: int
    roi_lb_ticks: int
    roi_ub_ticks: int
    looking_depth: float
    half_spread_ticks: float
    skew_ticks: float
    c1_ticks: float
    power: float
    live_ns: int
    replace_ticks: int
    stop_ns: int
    flatten_through_ticks: int


class ObiMemory(NamedTuple):
    """What it remembers between decisions."""

    imbalance: Any
    volatility: Any
    guard: Any
    places: Any


def obi_numbers(p: ObiParameters, scale: Scale) -> ObiNumbers:
    """Raises ValueError if a parameter is nothing on this instrument's grid."""
    order_lots = round(p.order_qty / scale.lot_size)
    interval_ticks = round(p.grid_interval / scale.tick_size)
    if order_lots < 1:
        raise ValueError(f"order_qty: {p.order_qty:g} is less than one lot of {scale.lot_size:g}")
    if interval_ticks < 1:
        raise ValueError(f"grid_interval: {p.grid_interval:g} is less than one tick of {scale.tick_size:g}")
    return ObiNumbers(
        order_lots,
        round(p.max_position / scale.lot_size),
        p.grid_num,
        interval_ticks,
        round(p.roi_lb / scale.tick_size),
        round(p.roi_ub / scale.tick_size) if p.roi_ub else 1 << 53,
        p.looking_depth,
        p.half_spread / scale.tick_size,
        p.skew / scale.tick_size,
        p.c1 / scale.tick_size,
        p.power,
        round(p.live_seconds * SECOND),
        p.replace_ticks,
        round(p.stop_seconds * SECOND),
        p.flatten_through_ticks,
    )


def obi_memory(p: ObiParameters) -> ObiMemory:
    """Fresh, before the first decision."""
    memory = ObiMemory(
        state(ROLLING_HEAD + p.window),
        state(volatility_size(p.volatility_window)),
        state(guard_size(p.stop_window, p.stop_window)),
        integers(PLACES),
    )
    rolling_init(memory.imbalance, p.window)
    interval_ns, samples_min = p.volatility_interval_ms * MS, min(p.volatility_samples_min, p.volatility_window)
    volatility_init(memory.volatility, p.volatility_window, interval_ns, samples_min)
    guard_init(memory.guard, p.stop_window, p.stop_window, interval_ns, p.stop_volatility_z, p.stop_change_z)
    return memory


def standing(places: Any, side: int, price_ticks: int, now_ns: int, replace_ticks: int, live_ns: int, touch_ticks: int) -> int:
    """Where a side's first rung shall stand: where it stood, or where it would stand now; 0: withdrawn for this once.

    `touch_ticks` is the opposite touch: a price at or beyond it would take.
    """
    place = BID_TICKS if side > 0 else ASK_TICKS
    held = places[place]
    if held and abs(price_ticks - held) < replace_ticks and (touch_ticks - held) * side > 0:
        if now_ns - places[place + 1] < live_ns:
            return int(held)
        places[place] = 0
        return 0
    if held != price_ticks:
        places[place] = price_ticks
        places[place + 1] = now_ns
    return price_ticks


def decide(market: MarketView, now_ns: int, p: ObiNumbers, memory: ObiMemory, wishes: Any) -> int:
    """The whole strategy. In the subset that Numba compiles: integers in ticks and lots, no objects."""
    bid_ticks, ask_ticks = market.bid_ticks, market.ask_ticks
    mid_ticks = (bid_ticks + ask_ticks) / 2.0
    bids = depth_lots(market.depth, BUY, bid_limit(mid_ticks, p.looking_depth, p.roi_lb_ticks))
    asks = depth_lots(market.depth, SELL, ask_limit(mid_ticks, p.looking_depth, p.roi_ub_ticks))
    lean = float(bids - asks)
    rolling_push(memory.imbalance, lean)
    volatility_update(memory.volatility, now_ns, mid_ticks)
    verdict = guard_update(memory.guard, now_ns, mid_ticks)
    places, count = memory.places, 0
    position = market.position_lots
    if verdict != GUARD_NORMAL:
        places[STOPPED_UNTIL] = now_ns + p.stop_ns
    if now_ns < places[STOPPED_UNTIL]:
        places[BID_TICKS] = 0
        places[ASK_TICKS] = 0
        if position != 0 and now_ns >= places[FLATTEN_AFTER]:
            places[FLATTEN_AFTER] = now_ns + FLATTEN_INTERVAL_NS
            price = bid_ticks - p.flatten_through_ticks if position > 0 else ask_ticks + p.flatten_through_ticks
            count = want(wishes, count, price, -position, WISH_REDUCE)
        return count
    volatility = volatility_value(memory.volatility)
    if not rolling_is_full(memory.imbalance) or math.isnan(volatility):
        return 0  # Warming up.
    fair = mid_ticks + p.c1_ticks * rolling_zscore(memory.imbalance, lean)
    half_spread = p.half_spread_ticks * max(volatility, 1.0) ** p.power
    reservation = fair - p.skew_ticks * position / p.order_lots
    step = p.grid_interval_ticks
    first_bid = math.floor(min(reservation - half_spread, float(bid_ticks)) / step) * step
    first_ask = math.ceil(max(reservation + half_spread, float(ask_ticks)) / step) * step
    first_bid = standing(places, BUY, first_bid, now_ns, p.replace_ticks, p.live_ns, ask_ticks)
    first_ask = standing(places, SELL, first_ask, now_ns, p.replace_ticks, p.live_ns, bid_ticks)
    for rung in range(p.grid_num):
        quoted = (rung + 1) * p.order_lots
        price = first_bid - rung * step
        if first_bid > 0 and price > p.roi_lb_ticks and position + quoted <= p.position_lots_max:
            count = want(wishes, count, price, p.order_lots, WISH_QUOTE)
        price = first_ask + rung * step
        if first_ask > 0 and price < p.roi_ub_ticks and quoted - position <= p.position_lots_max:
            count = want(wishes, count, price, -p.order_lots, WISH_QUOTE)
    return count


class ObiMarketMaking(KernelStrategy):
    """The strategy on one instrument."""

    kernel = staticmethod(decide)
    name = "obi-mm"

    def __init__(self, instrument_index: int, scale: Scale, parameters: ObiParameters) -> None:
        numbers, memory = obi_numbers(parameters, scale), obi_memory(parameters)
        super().__init__(instrument_index, parameters.update_interval_ms, numbers, memory)
