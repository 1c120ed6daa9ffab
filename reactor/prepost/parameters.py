"""Every number of this room that a trader may set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from reactor.domain.errors import ConfigError
from reactor.domain.instrument import Instruments

DEFAULT_RULES: Final = (
    "kill_switch",
    "reconciled",
    "journal",
    "daily_loss",
    "cooldown",
    "pending_orders",
    "capital",
    "daily_trades",
    "total_exposure",
    "margin_ratio",
    "inventory",
    "price_collar",
    "order_notional",
    "order_rate",
)


@dataclass(frozen=True)
class RiskParameters:
    """The limits. Amounts are in the quote currency (USDT)."""

    rules: tuple[str, ...] = DEFAULT_RULES
    rule_files: tuple[str, ...] = ()
    options: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # a user rule's own numbers, by rule name
    clip_usdt: float = 50.0  # one bite; rounded up to what both legs' venues allow
    clip_notional_margin: float = 0.02  # minimum notionals with 2 % room, for prices that move between the legs
    position_clips_max: int = 100
    capital_usdt_max: float = 5_000.0  # per instrument, at cost, reserved included
    pending_orders_max: int = 3  # per instrument; a strategy's grid has its own limit below
    quotes_max: int = 24  # live rungs of grids per instrument
    exposure_ratio_max: float = 0.03  # |net delta| / equity
    exposure_ratio_warning: float = 0.025
    daily_trades_max: int = 1_000
    cooldown_s: float = 60.0  # per instrument, between accepted opens
    signal_age_ms_max: float = 100.0  # from the socket to here
    margin_ratio_min: float = 0.10  # futures: (wallet + unrealised) / gross notional; 0.10 is ten times leverage
    price_collar_ratio: float = 0.005  # how far beyond the opposite touch an order may reach
    order_notional_usdt_max: float = 2_000.0
    order_rate_window_ms: int = 10_000
    order_rates_max: tuple[int, ...] = (60, 200, 200)  # per venue and window. Venues: spot 100, USD-M 300 per 10 s
    order_rate_hedge_share: float = 0.25  # of the rate that only hedges, unwinds and closes may use
    daily_loss_usdt_max: float = 500.0  # since 00:00 UTC, unrealised included: then REDUCE_ONLY


@dataclass(frozen=True)
class PairParameters:
    """One pair and how it is traded."""

    open_instrument_index: int
    hedge_instrument_index: int
    opens_as_maker: bool = False  # False: takes through the book with an IOC; True: rests at the touch, post-only
    open_through_ticks: int = 2  # how far through the opposite touch a taker leg may go
    maker_ttl_ms: int = 5_000  # a resting open leg lives this long in all, re-quotes included
    requote_ticks: int = 1  # re-quote when the touch has left our price by this much
    requotes_max: int = 20  # per opening; each is a new order and eats the order rate
    clips_max: int = 1  # clips that an open pair may grow to; further opens are refused as PAIR_BUSY
    hedge_through_ticks: int = 20  # first attempt; doubled with every further one, up to the collar
    hedge_echo_ms_max: float = 10.0  # the collector's event must be back by then, or prepost hedges by itself
    hedge_attempts_max: int = 6  # refused or unfilled by the venue; then the open leg is unwound and the instrument halted
    hedge_backoff_ms_first: float = 20.0  # doubled with every attempt
    hedge_backoff_ms_max: float = 1_000.0
    hedge_patience_ms: int = 5_000  # hedges that do not even reach the venue are tried for this long; then likewise
    unwind_attempts_max: int = 10  # then STUCK
    close_through_ticks: int = 2  # open leg's close; doubled like the hedge


@dataclass(frozen=True)
class PipelineParameters:
    """Which stages run, in which order. Leaving one out is a decision about money: `check` warns."""

    pre: tuple[str, ...] = ("signal_age_check", "risk_control", "position_limit", "order_construction", "priority_assignment")
    post: tuple[str, ...] = (
        "position_update",
        "risk_quota_update",
        "hedge_trigger_check",
        "pnl_calculation",
        "state_persistence",
    )
    stage_files: tuple[str, ...] = ()  # Python files that register stages of the user's own


@dataclass(frozen=True)
class ConstructionParameters:
    """How old a book may be that an order is priced from (CLOCK_MONOTONIC age of its last message)."""

    book_age_ms_max: int = 2_000  # opening orders; a quiet symbol updates at least once per second
    hedge_book_age_ms_max: int = 10_000  # hedges and unwinds; beyond it they are priced from the other leg's fill
    place_deadline_ms: int = 1_000  # an order that the engine has not sent by then is not sent any more; 0: no limit
    unpaired_through_ticks: int = 20  # how far through the book a taker order without a pair goes
    mark_period_ms: int = 100  # equity, exposure and unrealised PnL are recomputed this often


@dataclass(frozen=True)
class InquiryParameters:
    """When to ask about an order, and when to believe that it does not exist."""

    # The engine's receive window of a place (1 000) and room for clock errors: an older request is refused by the venue.
    recv_window_ms: int = 1_500
    news_ms_max: int = 2_000  # a place or cancel without any answer is asked about
    ioc_ms_max: int = 3_000  # an IOC or market order that is still not closed is asked about
    backoff_ms_first: int = 200
    backoff_ms_max: int = 5_000
    not_found_answers_min: int = 2  # of the venue itself, to queries sent after recv_window_ms; never a network error
    not_found_spacing_ms: int = 250


@dataclass(frozen=True)
class SettlementParameters:
    """Comparing ours with the venue's (settle.py)."""

    period_s: float = 30.0  # while trading
    retry_ms: int = 500  # after a snapshot that failed, or in which something moved; doubled each time, up to the period
    answer_ms_max: int = 10_000  # a snapshot that takes longer is asked for again
    confirmations: int = 3  # times that the same difference must be seen, with nothing moving between, before HALT
    fills_overlap_ms: int = 5_000  # fills are asked for from this long before the baseline: clocks differ
    adopts_futures_positions: bool = False  # True: a position that our journal does not explain becomes ours at a first start
    balance_tolerance_e8: int = 0  # per asset; 0: to the last unit
    asks_funding: bool = True  # False: only for a venue of a load test that knows no funding; what was paid is never booked


@dataclass(frozen=True)
class StopParameters:
    """The way out (stop.py)."""

    repeat_ms: int = 500  # cancels and the question "is anything of ours open?" are repeated this often
    flatten_ms_max: int = 15_000  # then what is not flat stays, and the report says so


@dataclass(frozen=True)
class PrepostParameters:
    """All of it."""

    order_id_prefix: str = "ct"
    pairs: tuple[PairParameters, ...] = ()  # by pair_id
    pipeline: PipelineParameters = field(default_factory=PipelineParameters)
    risk: RiskParameters = field(default_factory=RiskParameters)
    construction: ConstructionParameters = field(default_factory=ConstructionParameters)
    inquiry: InquiryParameters = field(default_factory=InquiryParameters)
    settlement: SettlementParameters = field(default_factory=SettlementParameters)
    stop: StopParameters = field(default_factory=StopParameters)
    orders_max: int = 4_096  # unsettled orders
    closed_orders_kept_max: int = 8_192  # for late reports

    def check(self, instruments: Instruments) -> None:
        """Refuses what cannot be traded.

        Raises:
            ConfigError: one sentence per problem.
        """
        problems: list[str] = []
        legs: dict[int, int] = {}
        for pair_id, pair in enumerate(self.pairs):
            for index in (pair.open_instrument_index, pair.hedge_instrument_index):
                if not 0 <= index < len(instruments):
                    problems.append(f"pair {pair_id}: there is no instrument number {index}")
                elif index in legs:
                    problems.append(
                        f"pair {pair_id}: {instruments[index].name} is a leg of pair {legs[index]} already; "
                        "a leg belongs to one pair, or a forced fill could not be given to either"
                    )
                legs[index] = pair_id
            if pair.hedge_attempts_max < 1 or pair.unwind_attempts_max < 1:
                problems.append(f"pair {pair_id}: at least one attempt is needed to hedge and to unwind")
        for index in legs:
            if 0 <= index < len(instruments) and instruments[index].contract_size_e8 != 100_000_000:
                problems.append(f"{instruments[index].name}: inverse contracts cannot be a leg yet")
        if problems:
            raise ConfigError(problems)
