"""A market made of dice: spot and perpetual of a few coins, calibrated to captures of 2024-08-08/09 (BTCUSDT, Binance).

Measured there (medians unless said otherwise), and imitated to within a few tenths; the figures are the constants below:

                             spot        USD-M
    trades per second         28 … 33     62      in clusters of 2.6 … 3.0 / 3.9 at one instant (p99 20 / 43), sides persist
    trades in a second        var/mean 40 … 200 / 390: activity comes in waves
    best-price messages /s    81 … 148   192      5 % / 2 % of them move a price; nearly all others change one size
    depth messages /s         10         19       8 … 15 / 17 levels a side (means 18 … 29 / 34); 48 % / 22 % deletions
    spread                    1 tick      1 tick  p99 of 2 … 8 / 3 USDT, in bursts
    size at the best          1.1        2.7      BTC; a fifth of the time only dust
    trade size                0.0007     0.016    BTC; p90 0.06 / 0.27, mean 0.022 / 0.114
    return per second         1.1 … 1.2  1.25     bp, standard deviation; 8 … 15 % of all 100 ms see the mid move at all
    basis                     mean −3.7 bp, standard deviation 0.57 bp; autocorrelation 0.87 at 0.1 s, 0.65 at 0.5 s,
                              0.51 at 1 s, 0.19 at 5 s, 0.13 at 10 s

A price walks; both books follow it late and at their own moments, which makes half of the fast part of the basis; two
mean-reverting parts (half a second, eight seconds) make the rest. On top, a swing of `swing_bps` (τ 12 s) moves the basis
enough for a strategy to open and close several times a minute. Everything is drawn from one seed, in steps of 100 ms.
"""

import math
import random
import re
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from reactor.domain.errors import ConfigError
from reactor.sim.events import Levels, Notices
from reactor.sim.symbols import SPOT_SYMBOLS, USDM_SYMBOLS, Product, SymbolRules
from reactor.sim.updates import BookUpdate, MarketUpdate, TopUpdate, TradeUpdate

MS: Final = 1_000_000
STEP_NS: Final = 100 * MS
STEP_S: Final = 0.1
RETURN_STD_BPS: Final = 1.2  # Per second.
STEP_SHARE: Final = 0.2  # Of all 100 ms steps: the price moves.
MOVE_SHARE: Final = 0.13  # Scales how readily a book follows; gives moving mids in 8 … 15 % of all 100 ms, as measured.
# The measured variance (0.57 bp)² is 60 % fast (τ 0.5 s), 40 % slow (τ 8 s). The books' lateness makes half of the fast part.
BASIS_FAST_BPS: Final = 0.3
BASIS_FAST_TAU_S: Final = 0.5
BASIS_SLOW_BPS: Final = 0.36
BASIS_SLOW_TAU_S: Final = 8.0
SWING_TAU_S: Final = 12.0
ACTIVITY_TAU_S: Final = 3.0  # Trades per second vary 39 times more than a Poisson process would: activity comes in waves.
ACTIVITY_SIGMA: Final = 0.9
LEVEL_SIZE_MAX: Final = 60.0  # BTC: thrice a captured level at p99.
BOOK_LEVELS: Final = 1_000  # Per side; as many as the captured snapshot has, over ±24 bp.
TABLE_SIZE: Final = 4096  # Sizes and distances are drawn from tables: five times cheaper than a lognormal each time.
TABLE_MASK: Final = TABLE_SIZE - 1
Due = tuple[int, MarketUpdate]


@dataclass(frozen=True)
class VenueFigures:
    """Measured on BTCUSDT of one product. Quantities in BTC; other coins trade the same notional times their `liveliness`."""

    tops_per_s: float
    top_cluster: float  # Best-price messages come in clusters, milliseconds apart.
    clusters_per_s: float  # Trade clusters.
    cluster_single_share: float
    cluster_rest_mean: float
    side_persistence: float  # Probability that the next cluster has the same side: (1 + autocorrelation) / 2.
    depth_interval_ns: int
    depth_levels: float  # Mean levels per side and message.
    depth_zero_share: float  # Of the levels: deletions.
    depth_distance_bps: float  # Median distance of a changed level from the mid.
    depth_distance_sigma: float
    level_size: float
    level_sigma: float
    top_size: float
    top_dust_share: float
    trade_dust_share: float
    trade_dust: float
    trade_size: float
    trade_sigma: float


SPOT_FIGURES: Final = VenueFigures(
    tops_per_s=85.0, top_cluster=4.0, clusters_per_s=11.0, cluster_single_share=0.65, cluster_rest_mean=5.5,
    side_persistence=0.72, depth_interval_ns=100 * MS, depth_levels=26.0, depth_zero_share=0.48, depth_distance_bps=4.4,
    depth_distance_sigma=1.3, level_size=0.054, level_sigma=2.2, top_size=1.9, top_dust_share=0.2, trade_dust_share=0.45,
    trade_dust=0.00015, trade_size=0.013, trade_sigma=1.6,
)  # fmt: skip
USDM_FIGURES: Final = VenueFigures(
    tops_per_s=165.0, top_cluster=5.0, clusters_per_s=15.8, cluster_single_share=0.6, cluster_rest_mean=9.0,
    side_persistence=0.6, depth_interval_ns=50 * MS, depth_levels=33.0, depth_zero_share=0.22, depth_distance_bps=6.5,
    depth_distance_sigma=1.3, level_size=0.133, level_sigma=2.2, top_size=4.0, top_dust_share=0.15, trade_dust_share=0.0,
    trade_dust=0.002, trade_size=0.02, trade_sigma=2.0,
)  # fmt: skip


@dataclass(frozen=True)
class Coin:
    """One asset with a spot book and a perpetual. `scale`: its quantities per BTC quantity; `liveliness`: message rates."""

    symbol: str
    price: float
    scale: float
    liveliness: float
    volatility: float = 1.0


COINS: Final = {
    "BTCUSDT": Coin("BTCUSDT", 61_700.0, 1.0, 1.0),
    "ETHUSDT": Coin(
        "ETHUSDT", 2_650.0, 14.0, 0.5, 1.2
    ),  # No capture: BTC's figures at 60 % of the notional, half the messages.
    "BNBUSDT": Coin("BNBUSDT", 515.0, 20.0, 0.2, 1.2),
    "SOLUSDT": Coin("SOLUSDT", 153.0, 80.0, 0.25, 1.5),
}


MADE_UP: Final = re.compile(r"COIN([1-9]\d{0,2})USDT")  # COIN1USDT … COIN999USDT: coins for tests of many symbols.


def coin_of(symbol: str) -> tuple[Coin, SymbolRules, SymbolRules] | None:
    """A coin and its rules on spot and USD-M; None: the generator has no such coin.

    Made-up coins trade as SOL does, quietly, at a price of their own.
    """
    if symbol in COINS:
        return COINS[symbol], SPOT_SYMBOLS[symbol], USDM_SYMBOLS[symbol]
    found = MADE_UP.fullmatch(symbol)
    if found is None:
        return None
    like, base = COINS["SOLUSDT"], symbol.removesuffix("USDT")
    coin = replace(like, symbol=symbol, price=like.price * (1.0 + int(found[1]) / 100.0))
    spot, usdm = (replace(listed[like.symbol], symbol=symbol, base_asset=base) for listed in (SPOT_SYMBOLS, USDM_SYMBOLS))
    return coin, spot, usdm


@dataclass(frozen=True)
class GeneratorParameters:
    """Knobs. `density` 1.0 gives the captured message rates (about 400 /s for the BTCUSDT pair), 0.2 a fifth of them."""

    seed: int = 1
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")
    coins: int = 0  # So many made-up symbols besides: COIN1USDT, COIN2USDT, … up to 999.
    density: float = 1.0
    speed: float = 1.0  # Market seconds per wall second.
    basis_mean_bps: float = 3.0  # Perpetual above spot, as it stands when funding is positive. (Captured: −3.7.)
    basis_liveliness: float = 1.0  # Multiplies every moving part of the basis.
    swing_bps: float = 2.0  # Standard deviation of the extra swing (τ 12 s); 0: exactly the captured basis.
    volatility: float = 1.0  # Multiplies the returns.

    def listed(self) -> list[tuple[Coin, SymbolRules, SymbolRules]]:
        """Every coin with its rules on spot and USD-M.

        Raises:
            ConfigError: a symbol that the generator does not know.
        """
        names = [*self.symbols, *(f"COIN{number}USDT" for number in range(1, self.coins + 1))]
        found = [(name, coin_of(name)) for name in dict.fromkeys(names)]
        unknown = [name for name, listing in found if listing is None]
        if unknown:
            raise ConfigError(f"the generator has no {', '.join(unknown)}; it knows {', '.join(COINS)} and COIN1USDT …")
        return [listing for _, listing in found if listing is not None]


class _Dice(random.Random):
    """Draws that the generator needs; one stream per book, so that symbols do not disturb each other."""

    def poisson(self, mean: float) -> int:
        """Knuth's method, fine for the small means used here."""
        if mean <= 0.0:
            return 0
        if mean > 30.0:
            return max(0, round(self.gauss(mean, math.sqrt(mean))))
        limit, count, product = math.exp(-mean), 0, self.random()
        while product > limit:
            count += 1
            product *= self.random()
        return count


class _Tables:
    """What the dice of a book choose from, in lots; the same for every seed, so that a thousand worlds make them once."""

    def __init__(self, coin: Coin, rules: SymbolRules, figures: VenueFigures) -> None:
        self._figures = figures
        self._dice = _Dice(f"{rules.product}:{rules.symbol}")
        self._lots_per_unit = 1e8 / rules.lot_e8 * coin.scale
        self.sizes = [self._lognormal(figures.level_size, figures.level_sigma) for _ in range(TABLE_SIZE)]
        self.distances = [
            self._dice.lognormvariate(math.log(figures.depth_distance_bps), figures.depth_distance_sigma) * 1e-4
            for _ in range(TABLE_SIZE)
        ]
        self.trade_lots = [self._one_trade_lots() for _ in range(TABLE_SIZE)]
        self.top_lots = [self._one_top_lots() for _ in range(TABLE_SIZE)]

    def _lognormal(self, median: float, sigma: float) -> int:
        size = min(self._dice.lognormvariate(math.log(median), sigma), LEVEL_SIZE_MAX)
        return max(1, int(size * self._lots_per_unit))

    def _one_trade_lots(self) -> int:
        figures = self._figures
        if self._dice.random() < figures.trade_dust_share:
            return self._lognormal(figures.trade_dust, 0.6)
        return self._lognormal(figures.trade_size, figures.trade_sigma)

    def _one_top_lots(self) -> int:
        figures, dice = self._figures, self._dice
        if dice.random() < figures.top_dust_share:
            return self._lognormal(figures.top_size * 0.005, 1.5)
        return max(1, int(dice.gammavariate(1.8, figures.top_size / 1.8) * self._lots_per_unit))


@lru_cache(maxsize=32)
def _tables(coin: Coin, rules: SymbolRules, figures: VenueFigures) -> _Tables:
    return _Tables(coin, rules, figures)


class _Book:
    """One symbol on one venue: follows a target mid and talks about it."""

    def __init__(self, coin: Coin, rules: SymbolRules, figures: VenueFigures, density: float, seed: str) -> None:
        self.rules = rules
        self._product: Product = rules.product
        self._symbol = rules.symbol
        self._figures = figures
        self._dice = _Dice(seed)
        self._tick = rules.tick_e8 / 1e8
        rate = density * coin.liveliness
        self._tops_per_step = figures.tops_per_s * STEP_S * rate / figures.top_cluster
        self._clusters_per_step = figures.clusters_per_s * STEP_S * rate
        self._levels_per_message = max(2.0, figures.depth_levels * min(1.0, rate))
        self._depth_messages = STEP_NS // figures.depth_interval_ns
        self._side_is_sell = False
        self._bid = self._ask = 0
        self._bid_lots = self._ask_lots = 1
        self._target_mid = 0.0
        self._clock_ns = 0  # Of the last update: a book never speaks backwards.
        self._placed: tuple[deque[int], deque[int]] = (deque(), deque())
        tables = _tables(coin, rules, figures)
        self._sizes, self._distances = tables.sizes, tables.distances
        self._trade_lots, self._top_lots = tables.trade_lots, tables.top_lots

    def snapshot(self, mid: float, at_ns: int) -> BookUpdate:
        """The first book: a thousand levels a side, dense near the top."""
        self._bid = int(mid / self._tick)
        self._ask = self._bid + 1
        bids: dict[int, int] = {self._bid: self._draw(self._top_lots)}
        asks: dict[int, int] = {self._ask: self._draw(self._top_lots)}
        self._bid_lots, self._ask_lots = bids[self._bid], asks[self._ask]
        for index in range(1, BOOK_LEVELS):
            # About 1.3 bp at the 20th level and 25 bp at the last, as captured.
            distance = (0.05 * index**0.9) * 1e-4 * mid / self._tick + index * 0.5
            jitter = 1 + int(distance * (0.9 + 0.2 * self._dice.random()))
            bids.setdefault(self._bid - jitter, self._draw(self._sizes))
            asks.setdefault(self._ask + jitter, self._draw(self._sizes))
        self._placed[0].extend(sorted(bids))
        self._placed[1].extend(sorted(asks, reverse=True))
        return BookUpdate(
            self._product,
            self._symbol,
            sorted(bids.items(), reverse=True),
            sorted(asks.items()),
            at_ns,
            at_ns,
            is_snapshot=True,
        )

    def _draw(self, table: list[int]) -> int:
        return table[int(self._dice.random() * TABLE_SIZE)]

    def step(self, start_ns: int, step_ns: int, target_mid: float, activity: float, out: list[Due]) -> None:
        """100 ms of market, `step_ns` of wall time, appended to `out` as (due_ns, update)."""
        dice = self._dice
        mid = (self._bid + self._ask) / 2 * self._tick
        gap_bps = abs(target_mid - mid) / mid * 1e4
        draw = dice.random
        plan = [(draw(), self._trade_cluster) for _ in range(dice.poisson(self._clusters_per_step * activity))]
        plan.extend((draw(), self._resize_top) for _ in range(dice.poisson(self._tops_per_step * (0.5 + 0.5 * activity))))
        # Depth messages stand at the end of their interval, a little early.
        plan.extend(((index + 1 - 0.05 * draw()) / self._depth_messages, self._depth) for index in range(self._depth_messages))
        # A book that lags far behind moves almost for certain: somebody would take the difference.
        if draw() < MOVE_SHARE * activity * (0.3 + 3.0 * gap_bps * gap_bps):
            self._target_mid = target_mid
            plan.append((draw() * 0.8, self._move))
        plan.sort(key=_due)
        for share, act in plan:
            self._clock_ns = max(self._clock_ns, start_ns + int(share * step_ns))
            act(out)

    def _move(self, out: list[Due]) -> None:
        """The best prices walk to the target in a burst of a few messages; the spread is wide meanwhile."""
        dice = self._dice
        bid, ask, target = self._bid, self._ask, self._target_mid
        new_bid = int(target / self._tick)
        spread = 1 if dice.random() < 0.93 else 1 + int(dice.expovariate(1.0) * 0.5e-4 * target / self._tick)
        new_ask = new_bid + spread
        steps = min(6, 1 + int(abs(new_bid - bid) * self._tick / target * 2e4))
        rises = new_bid > bid
        for index in range(1, steps + 1):
            self._clock_ns += int(dice.random() * 2 * MS)
            step_bid = bid + (new_bid - bid) * index // steps
            step_ask = max(ask + (new_ask - ask) * index // steps, step_bid + 1)
            # The side in the way leaves first, the other follows: two messages.
            if rises:
                self._quote(self._bid, step_ask, out)
                self._quote(step_bid, step_ask, out)
            else:
                self._quote(step_bid, self._ask, out)
                self._quote(step_bid, step_ask, out)

    def _quote(self, bid: int, ask: int, out: list[Due]) -> None:
        """New best prices, each with the size of somebody new if it changed."""
        if bid != self._bid:
            self._bid, self._bid_lots = bid, self._draw(self._top_lots)
            self._place(0, bid)
        if ask != self._ask:
            self._ask, self._ask_lots = ask, self._draw(self._top_lots)
            self._place(1, ask)
        self._say(out)

    def _place(self, is_ask: int, ticks: int) -> None:
        placed = self._placed[is_ask]
        placed.append(ticks)
        if len(placed) > BOOK_LEVELS + 200:
            placed.popleft()

    def _say(self, out: list[Due]) -> None:
        at_ns = self._clock_ns
        update = TopUpdate(self._product, self._symbol, self._bid, self._bid_lots, self._ask, self._ask_lots, at_ns, at_ns)
        out.append((at_ns, update))

    def _resize_top(self, out: list[Due]) -> None:
        """Somebody joins or leaves the best level, a few times in a row."""
        dice = self._dice
        for _ in range(1 + int(dice.expovariate(1.0) * (self._figures.top_cluster - 0.5))):
            if dice.random() < 0.5:
                self._bid_lots = self._draw(self._top_lots)
            else:
                self._ask_lots = self._draw(self._top_lots)
            self._say(out)
            self._clock_ns += int(dice.random() * MS)

    def _trade_cluster(self, out: list[Due]) -> None:
        """One aggressor, one or several makers, one instant; the best level shrinks by what was traded."""
        dice, figures = self._dice, self._figures
        if dice.random() > figures.side_persistence:
            self._side_is_sell = not self._side_is_sell
        sells = self._side_is_sell
        count = 1
        if dice.random() > figures.cluster_single_share:
            count = 2 + int(dice.expovariate(1.0) ** 1.5 * (figures.cluster_rest_mean - 2.0) / 1.33)
        ticks = self._bid if sells else self._ask
        displayed = self._bid_lots if sells else self._ask_lots
        at_ns = self._clock_ns
        for _ in range(count):
            lots = min(self._draw(self._trade_lots), displayed)
            displayed -= lots
            out.append((at_ns, TradeUpdate(self._product, self._symbol, ticks, lots, sells, at_ns, at_ns)))
            if displayed <= 0:
                displayed = self._draw(self._top_lots)  # Refilled by the next in the queue: the captured level rarely breaks.
        if sells:
            self._bid_lots = displayed
        else:
            self._ask_lots = displayed
        self._say(out)

    def _depth(self, out: list[Due]) -> None:
        """Levels behind the best prices come, go and change."""
        bids = self._changed_levels(self._placed[0], self._bid, -1)
        asks = self._changed_levels(self._placed[1], self._ask, 1)
        at_ns = self._clock_ns
        out.append((at_ns, BookUpdate(self._product, self._symbol, bids, asks, at_ns, at_ns)))

    def _changed_levels(self, placed: deque[int], best: int, sign: int) -> Levels:
        draw, zero_share = self._dice.random, self._figures.depth_zero_share
        sizes, distances = self._sizes, self._distances
        levels: dict[int, int] = {}
        changes = min(120, 1 + int(self._dice.expovariate(1.0) * self._levels_per_message))
        while changes > 0:
            luck = draw()
            if luck < zero_share:
                # As many go as come: the oldest, unless it is a best price now.
                ticks = best + sign * (1 + int(distances[int(luck * 1e6) & TABLE_MASK] * best))
                levels[ticks] = sizes[int(draw() * TABLE_SIZE)]
                placed.append(ticks)
                gone = placed.popleft()
                if (gone - best) * sign > 0 and gone not in levels:
                    levels[gone] = 0
                changes -= 2
            else:
                # A change of size, more often where the newest are.
                ticks = placed[-1 - int(luck * luck * len(placed))]
                if (ticks - best) * sign > 0:
                    levels[ticks] = sizes[int(draw() * TABLE_SIZE)]
                changes -= 1
        return list(levels.items())


class _Pair:
    """One coin: the walking price, the basis and its two books."""

    def __init__(self, coin: Coin, parameters: GeneratorParameters, spot: SymbolRules, usdm: SymbolRules) -> None:
        seed = f"{parameters.seed}:{coin.symbol}"
        self._dice = _Dice(seed)
        self._parameters = parameters
        self._coin = coin
        self._price = coin.price
        self._fast = self._slow = self._swing = 0.0
        self._log_activity = 0.0
        self.spot = _Book(coin, spot, SPOT_FIGURES, parameters.density, seed + ":spot")
        self.usdm = _Book(coin, usdm, USDM_FIGURES, parameters.density, seed + ":usdm")

    def start(self, at_ns: int) -> list[Due]:
        spot_mid, usdm_mid = self._targets()
        return [(at_ns, self.spot.snapshot(spot_mid, at_ns)), (at_ns, self.usdm.snapshot(usdm_mid, at_ns))]

    def _targets(self) -> tuple[float, float]:
        parameters = self._parameters
        moving = (self._fast + self._slow + self._swing) * parameters.basis_liveliness
        basis = (parameters.basis_mean_bps + moving) * 1e-4
        return self._price * (1.0 - basis / 2), self._price * (1.0 + basis / 2)

    def step(self, start_ns: int, step_ns: int, out: list[Due]) -> None:
        """100 ms of this coin, `step_ns` of wall time."""
        dice, parameters = self._dice, self._parameters
        self._log_activity = _revert(dice, self._log_activity, ACTIVITY_SIGMA, ACTIVITY_TAU_S)
        activity = math.exp(self._log_activity - ACTIVITY_SIGMA**2 / 2)
        # A few large steps rather than many small ones, most of them when there is activity: the price often stands still.
        if dice.random() < STEP_SHARE * activity:
            scale = RETURN_STD_BPS * math.sqrt(STEP_S / STEP_SHARE) * 1e-4 * parameters.volatility * self._coin.volatility
            self._price *= math.exp(dice.gauss(0.0, scale))
        self._fast = _revert(dice, self._fast, BASIS_FAST_BPS, BASIS_FAST_TAU_S)
        self._slow = _revert(dice, self._slow, BASIS_SLOW_BPS, BASIS_SLOW_TAU_S)
        self._swing = _revert(dice, self._swing, parameters.swing_bps, SWING_TAU_S)
        spot_mid, usdm_mid = self._targets()
        self.spot.step(start_ns, step_ns, spot_mid, activity, out)
        self.usdm.step(start_ns, step_ns, usdm_mid, activity, out)


def _revert(dice: _Dice, value: float, std: float, tau_s: float) -> float:
    """One step of an Ornstein–Uhlenbeck process with this stationary standard deviation."""
    keep = math.exp(-STEP_S / tau_s)
    return value * keep + dice.gauss(0.0, std * math.sqrt(1.0 - keep * keep))


class Generator:
    """A MarketSource. Market time starts at `start()` and runs `speed` times as fast as the wall."""

    def __init__(self, parameters: GeneratorParameters | None = None) -> None:
        self.notices = Notices()
        self._parameters = parameters or GeneratorParameters()
        self._pairs = [_Pair(coin, self._parameters, spot, usdm) for coin, spot, usdm in self._parameters.listed()]
        self._next_step_ns = 0
        self._queue: Sequence[Due] = ()
        self._late: list[Due] = []
        self._next = 0
        self._is_started = False

    def symbols(self) -> list[SymbolRules]:
        """Spot and perpetual of every coin."""
        return [rules for pair in self._pairs for rules in (pair.spot.rules, pair.usdm.rules)]

    def start(self, now_ns: int) -> None:
        """The session begins now: first the books."""
        self._next_step_ns = now_ns
        self._queue = [row for pair in self._pairs for row in pair.start(now_ns)]
        self._next = 0
        self._is_started = True

    def next_due_ns(self) -> int:
        """When the next update is due; there is always one."""
        assert self._is_started, "start() comes first"
        while self._next >= len(self._queue):
            self._refill()
        return self._queue[self._next][0]

    def take(self) -> MarketUpdate:
        """The update that is due."""
        update = self._queue[self._next][1]
        self._next += 1
        return update

    def _refill(self) -> None:
        out: list[Due] = []
        step_ns = int(STEP_NS / self._parameters.speed)
        for pair in self._pairs:
            pair.step(self._next_step_ns, step_ns, out)
        self._next_step_ns += step_ns
        # A burst at the end of a step runs into the next one: it waits there, so that time never goes back.
        out.extend(self._late)
        out.sort(key=_due)
        end = bisect_left([row[0] for row in out], self._next_step_ns)
        self._queue, self._late = out[:end], out[end:]
        self._next = 0


def _due(row: tuple[float, object]) -> float:
    return row[0]
