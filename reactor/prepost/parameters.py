"""Every number of this room that a trader may set, composed from the cores that use them."""

from dataclasses import dataclass, field

from reactor.domain.errors import ConfigError
from reactor.domain.instrument import Instruments
from reactor.prepost.pairs import PairParameters
from reactor.prepost.pipeline import PipelineParameters
from reactor.prepost.risk import RiskParameters


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
