"""Ours against the venue's: one list of differences, each with the rule for it. Pure and idempotent.

    what                                              rule
    ours, open there, live here                       agreed (BOOK, if the venue counts more fills)
    ours, open there, over here                       CANCEL
    ours, open there, never heard of                  ADOPT, then CANCEL: nobody remembers what it was for
    live here, not open there                         QUERY by client id: its end, and its fills
    foreign, open there                               REPORT; never touched
    futures position differs                          BOOK the fills that are missing; if that does not explain it: HALT
    a balance differs                                 BOOK fills and funding; if that does not explain it: HALT
    a balance at a first start                        ADOPT as the baseline
    a futures position at a first start               HALT, or ADOPT if the configuration says so
    a pair's legs do not match                        UNWIND: the ledger hedges or takes back (hedging.py)

Both sides agree when nothing is left but REPORT and UNWIND. Whoever calls (settle.py) makes sure that nothing moved between
the first row and the last, and that a difference was seen several times before it halts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from reactor.domain.units import format_e8


class Rule(IntEnum):
    """What is to be done about a difference, mildest first."""

    REPORT = 0
    UNWIND = 1
    ADOPT = 2
    QUERY = 3
    BOOK = 4
    CANCEL = 5
    HALT = 6


class Subject(IntEnum):
    """What differs."""

    ORDER = 0
    POSITION = 1
    BALANCE = 2
    PAIR = 3


@dataclass(frozen=True)
class OwnOrder:
    """An unsettled order of ours on the venue."""

    order_id: int
    client_order_id: str
    instrument_index: int
    is_closed: bool
    filled_lots: int
    may_be_unsent: bool = False  # too young, or unknown: its absence there says nothing yet


@dataclass(frozen=True)
class VenueOrder:
    """One open order as the venue lists it."""

    client_order_id: str
    order_id: int  # 0: not ours
    instrument_index: int
    filled_lots: int


@dataclass(frozen=True)
class Own:
    """What we believe about one venue."""

    orders: Mapping[int, OwnOrder]  # unsettled, by order id
    positions: Mapping[int, int]  # futures: instrument → signed lots, other people's fills included
    balances: Mapping[str, int]  # asset → e8
    is_first_start: bool = False
    pairs: Sequence[tuple[int, int]] = ()  # (pair id, tradable lots that the hedge leg lacks)


@dataclass(frozen=True)
class Venue:
    """What the venue says about itself."""

    orders: Sequence[VenueOrder]
    positions: Mapping[int, int]
    balances: Mapping[str, int]
    entry_ticks: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """One disagreement."""

    rule: Rule
    subject: Subject
    text: str
    instrument_index: int = 0xFFFF
    order_id: int = 0
    client_order_id: str = ""
    asset: str = ""
    ours: int = 0
    theirs: int = 0


def differences(own: Own, venue: Venue, *, adopts_positions: bool = False, tolerance_e8: int = 0) -> tuple[Difference, ...]:
    """Everything in which the two disagree, gravest last."""
    found = [*_orders(own, venue), *_positions(own, venue, adopts_positions), *_balances(own, venue, tolerance_e8)]
    for pair_id, lots in own.pairs:
        if lots:
            text = f"pair {pair_id}: the hedge leg lacks {lots} lots"
            found.append(Difference(Rule.UNWIND, Subject.PAIR, text, ours=lots, order_id=pair_id))
    return tuple(sorted(found, key=lambda difference: difference.rule))


def _orders(own: Own, venue: Venue) -> list[Difference]:
    found: list[Difference] = []
    seen: set[int] = set()
    for order in venue.orders:
        name = order.client_order_id
        index, order_id = order.instrument_index, order.order_id
        if not order.order_id:
            found.append(Difference(Rule.REPORT, Subject.ORDER, f"foreign order {name}", index, 0, name))
            continue
        seen.add(order.order_id)
        ours = own.orders.get(order.order_id)
        if ours is None:
            text = f"order {name} is open at the venue, and we hold it for closed or do not know it"
            found.append(Difference(Rule.CANCEL, Subject.ORDER, text, index, order_id, name))
        elif ours.is_closed:
            text = f"order {name} is open at the venue, and closed in our books"
            found.append(Difference(Rule.CANCEL, Subject.ORDER, text, index, order_id, name))
        elif order.filled_lots > ours.filled_lots:
            text = f"order {name}: the venue counts more fills, {order.filled_lots} against {ours.filled_lots}"
            found.append(Difference(Rule.BOOK, Subject.ORDER, text, index, order_id, name))
    for order_id, ours in own.orders.items():
        if order_id in seen:
            continue
        if ours.is_closed:
            text = f"order {ours.client_order_id}: fills are missing in our books"
            found.append(Difference(Rule.BOOK, Subject.ORDER, text, ours.instrument_index, order_id, ours.client_order_id))
        else:
            text = f"order {ours.client_order_id} is not open at the venue"
            found.append(Difference(Rule.QUERY, Subject.ORDER, text, ours.instrument_index, order_id, ours.client_order_id))
    return found


def _positions(own: Own, venue: Venue, adopts_positions: bool) -> list[Difference]:
    found: list[Difference] = []
    for index in sorted(set(own.positions) | set(venue.positions)):
        ours, theirs = own.positions.get(index, 0), venue.positions.get(index, 0)
        if ours == theirs:
            continue
        rule = Rule.ADOPT if own.is_first_start and adopts_positions else Rule.HALT
        text = f"position of instrument {index}: the venue has {theirs} lots, our books {ours}"
        found.append(Difference(rule, Subject.POSITION, text, index, ours=ours, theirs=theirs))
    return found


def _balances(own: Own, venue: Venue, tolerance_e8: int) -> list[Difference]:
    found: list[Difference] = []
    for asset in sorted(set(own.balances) | set(venue.balances)):
        ours, theirs = own.balances.get(asset, 0), venue.balances.get(asset, 0)
        if own.is_first_start:
            if theirs:
                text = f"baseline {asset} {format_e8(theirs)}"
                found.append(Difference(Rule.ADOPT, Subject.BALANCE, text, asset=asset, theirs=theirs))
        elif abs(ours - theirs) > tolerance_e8:
            text = f"balance of {asset}: the venue has {format_e8(theirs)}, our books {format_e8(ours)}"
            found.append(Difference(Rule.HALT, Subject.BALANCE, text, asset=asset, ours=ours, theirs=theirs))
    return found


def is_agreed(found: Sequence[Difference]) -> bool:
    """True if trading may start: nothing is left that somebody must do first."""
    return all(difference.rule in (Rule.REPORT, Rule.UNWIND) for difference in found)
