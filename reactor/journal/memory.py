"""What the journal remembers when prepost starts: plain rows, read by history.py, handed in by the wiring.

Fills come in the order in which they were booked; positions, balances and pairs are rebuilt by booking them again with
the same code that booked them live.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class RememberedOrder:
    """One order at its last journaled transition (JOURNAL_ORDER)."""

    order_id: int
    instrument_index: int
    side: int
    order_type: int
    time_in_force: int
    price_ticks: int
    quantity_lots: int
    state: int  # OrderState
    venue_order_id: int = 0
    filled_lots: int = 0
    leg: int = 0  # orders.Leg
    pair_id: int = 0xFFFFFFFF
    pair_sequence: int = 0
    signal_id: int = 0
    flags: int = 0
    client_order_id: str = ""  # empty: made from order_id, which is the same


@dataclass(frozen=True)
class RememberedFill:
    """One booked fill (JOURNAL_FILL). Where the same trade came twice (fee later), the row with the fee."""

    instrument_index: int
    trade_id: int
    side: int
    price_ticks: int
    quantity_lots: int
    fee_e8: int = 0
    asset: str = ""
    order_id: int = 0
    leg: int = 0
    pair_id: int = 0xFFFFFFFF
    pair_sequence: int = 0
    flags: int = 0
    wall_ns: int = 0
    venue_order_id: int = 0
    realised_e8: int | None = None  # what a futures fill moved the wallet by; None: not written down, computed again


@dataclass(frozen=True)
class RememberedFunding:
    """One funding payment (JOURNAL_FUNDING), or, with FLAG_LIQUIDATION, what a liquidation cost besides its fills."""

    instrument_index: int
    asset: str
    amount_e8: int
    exchange_ns: int
    trade_id: int = 0
    pair_id: int = 0xFFFFFFFF
    wall_ns: int = 0
    flags: int = 0


@dataclass(frozen=True)
class RememberedPair:
    """The last transition of one pair (JOURNAL_PAIR)."""

    pair_id: int
    pair_sequence: int
    state: int  # PairState
    direction: int
    entry_spread_e8: int = 0
    opened_wall_ns: int = 0


@dataclass(frozen=True)
class RememberedBalance:
    """A baseline (absolute), or a correction that the operator accepted (JOURNAL_BALANCE, values[2])."""

    venue: int
    asset: str
    amount_e8: int
    kind: int  # balances.BASELINE or balances.CORRECTION
    wall_ns: int = 0


@dataclass(frozen=True)
class History:
    """Everything. `epoch` is the one to use now: larger than every epoch used before, already persisted."""

    epoch: int = 1
    orders: tuple[RememberedOrder, ...] = ()
    fills: tuple[RememberedFill, ...] = ()
    fundings: tuple[RememberedFunding, ...] = ()
    pairs: tuple[RememberedPair, ...] = ()
    balances: tuple[RememberedBalance, ...] = ()
    kill_switch: int = 0
    halted_instruments: tuple[int, ...] = field(default=())
    checkpoint: str = ""  # prepost's books before the first of `fills` and `fundings`; empty: nothing was before them
    booked: tuple[tuple[int, int, int], ...] = ()  # (instrument, trade id, side) of the last fills before them, oldest first
    is_booked_whole: bool = True  # `booked` has all of them
