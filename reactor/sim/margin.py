"""Margins and views of a futures account at given mark prices. Pure arithmetic: nothing here changes an account.

margin balance = wallet + unrealised;  free for new orders = cross wallet + cross unrealised − initial margins
liquidated when margin balance < maintenance margin (cross: of all cross positions; isolated: of one)
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from reactor.domain.units import E8
from reactor.sim.accounts import Account, Position
from reactor.sim.events import PositionView, WalletView
from reactor.sim.symbols import SymbolRules

ASSET: Final = "USDT"  # The only margin asset listed.
MILLION: Final = 1_000_000

Marks = Callable[[str], int]  # symbol → mark price in 1e-8


def maintenance_e8(position: Position, mark_e8: int) -> int:
    """Maintenance margin of one position."""
    return abs(position.notional_e8(mark_e8)) * position.rules.maintenance_margin_e6 // MILLION


def closes(position_side: str, side: str) -> bool:
    """In hedge mode selling a LONG or buying a SHORT can only close."""
    return (position_side == "LONG" and side == "SELL") or (position_side == "SHORT" and side == "BUY")


def initial_margins_e8(
    account: Account, symbol: str, mark_e8: int, extra: tuple[str, str, int] | None = None
) -> tuple[int, int]:
    """(position margin, open order margin) of one symbol.

    One-way: the larger of |position + open buys| and |position − open sells| over the leverage; hedge mode: the same per
    side. Reduce-only orders need none. `extra`: (position side, order side, notional_e8) of an order that asks to come in.
    """
    leverage = account.leverage(symbol)
    totals: dict[str, list[int]] = {}
    for (name, position_side), position in account.positions.items():
        if name == symbol:
            totals[position_side] = [position.notional_e8(mark_e8), 0, 0]
    for (name, position_side), notionals in account.open_notionals.items():
        if name == symbol:
            totals.setdefault(position_side, [0, 0, 0])[1:] = notionals[2:]
    if extra is not None:
        row = totals.setdefault(extra[0], [0, 0, 0])
        row[1 if extra[1] == "BUY" else 2] += extra[2]
    position_margin = total = 0
    for notional, bids, asks in totals.values():
        position_margin += abs(notional) // leverage
        total += max(abs(notional + bids), abs(notional - asks)) // leverage
    return position_margin, max(0, total - position_margin)


def open_notionals_e8(account: Account, rules: SymbolRules, position_side: str = "") -> tuple[int, int]:
    """Notional of the open (buys, sells) of a symbol, of one position side or of all."""
    bids = asks = 0
    for (symbol, side), row in account.open_notionals.items():
        if symbol == rules.symbol and position_side in ("", side):
            bids += row[0]
            asks += row[1]
    return bids, asks


@dataclass(slots=True)
class CrossMargin:
    """What decides about a cross liquidation."""

    positions: list[Position]
    margin_e8: int
    maintenance_e8: int


def cross_margin(account: Account, mark_e8: Marks) -> CrossMargin:
    """The cross positions together."""
    state = CrossMargin([], account.cross_wallet_e8(), 0)
    for (symbol, _), position in account.positions.items():
        if position.amount_lots and symbol not in account.isolated:
            mark = mark_e8(symbol)
            state.positions.append(position)
            state.margin_e8 += position.unrealised_e8(mark)
            state.maintenance_e8 += maintenance_e8(position, mark)
    return state


def wallet_view(account: Account, symbols: Mapping[str, SymbolRules], mark_e8: Marks) -> WalletView:
    """The USDT wallet with its margins."""
    unrealised = cross_unrealised = maintenance = position_margin = cross_position_margin = order_margin = 0
    for symbol in symbols:
        mark = mark_e8(symbol)
        is_cross = symbol not in account.isolated
        for position in positions_of(account, symbol):
            profit = position.unrealised_e8(mark)
            unrealised += profit
            cross_unrealised += profit if is_cross else 0
            maintenance += maintenance_e8(position, mark)
        held, asked = initial_margins_e8(account, symbol, mark)
        position_margin += held
        cross_position_margin += held if is_cross else 0
        order_margin += asked
    cross_wallet = account.cross_wallet_e8()
    return WalletView(
        asset=ASSET,
        wallet_e8=account.wallet_e8,
        cross_wallet_e8=cross_wallet,
        unrealised_e8=unrealised,
        cross_unrealised_e8=cross_unrealised,
        margin_e8=account.wallet_e8 + unrealised,
        available_e8=max(0, cross_wallet + cross_unrealised - cross_position_margin - order_margin),
        initial_margin_e8=position_margin + order_margin,
        position_margin_e8=position_margin,
        open_order_margin_e8=order_margin,
        maintenance_margin_e8=maintenance,
        updated_ns=account.updated_ns,
    )


def position_view(account: Account, position: Position, mark_e8: Marks) -> PositionView:
    """One position with its margins."""
    rules = position.rules
    mark = mark_e8(rules.symbol)
    bids, asks = open_notionals_e8(account, rules, position.position_side)
    held, asked = initial_margins_e8(account, rules.symbol, mark)
    return PositionView(
        rules=rules,
        position_side=position.position_side,
        amount_lots=position.amount_lots,
        entry_price_e8=position.entry_price_e8(),
        break_even_e8=position.break_even_e8(),
        mark_price_e8=mark,
        unrealised_e8=position.unrealised_e8(mark),
        realised_e8=position.realised_e8,
        liquidation_price_e8=liquidation_price_e8(account, position, mark_e8),
        leverage=account.leverage(rules.symbol),
        is_isolated=rules.symbol in account.isolated,
        isolated_wallet_e8=position.isolated_wallet_e8,
        notional_e8=position.notional_e8(mark),
        initial_margin_e8=held + asked,
        position_margin_e8=held,
        open_order_margin_e8=asked,
        maintenance_margin_e8=maintenance_e8(position, mark),
        bid_notional_e8=bids,
        ask_notional_e8=asks,
        updated_ns=position.updated_ns,
    )


def liquidation_price_e8(account: Account, position: Position, mark_e8: Marks) -> int:
    """The mark price at which margin and maintenance margin meet, everything else unchanged; 0: none."""
    if position.amount_lots == 0:
        return 0
    rules = position.rules
    if rules.symbol in account.isolated:
        buffer = position.isolated_wallet_e8
    else:
        state = cross_margin(account, mark_e8)
        own_mark = mark_e8(rules.symbol)
        buffer = state.margin_e8 - position.unrealised_e8(own_mark)
        buffer -= state.maintenance_e8 - maintenance_e8(position, own_mark)
    base = rules.base_e8(position.amount_lots)
    slope = base * MILLION - abs(base) * rules.maintenance_margin_e6
    return max(0, (position.cost_e8 - buffer) * E8 * MILLION // slope)


def positions_of(account: Account, symbol: str) -> Iterable[Position]:
    """The position records of a symbol, flat ones too."""
    return [position for (name, _), position in account.positions.items() if name == symbol]
