"""Fills → money. Ours is integers: amounts in 1e-8 of the settlement currency, kept fill by fill and compared with
hftbacktest's own floating-point figures in the tests.

    linear      cash −= side · price · quantity · contract size      equity = cash + position · mid        quote currency
    inverse     cash += side · contract size · quantity / price      equity = cash − contract · position / mid   the coin

Fees are what the fee rates take of each fill's notional; funding is what a position pays at each funding time.
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reactor.backtest.parameters import AssetParameters
from reactor.domain.instrument import Instrument
from reactor.domain.units import E8


@dataclass(frozen=True)
class FundingTime:
    """One moment at which longs pay shorts `rate` of the notional (< 0: shorts pay)."""

    time_ns: int
    rate_e8: int


@dataclass(frozen=True)
class FundingPayment:
    """What one asset paid or got."""

    time_ns: int
    asset: int
    rate_e8: int
    position_lots: int
    amount_e8: int  # > 0: received


@dataclass(frozen=True)
class Point:
    """The account at one moment. Amounts in 1e-8."""

    time_ns: int
    mid_half_ticks: int  # bid + ask
    position_lots: int
    gross_e8: int  # realised and unrealised, before costs
    fees_e8: int  # > 0: paid
    funding_e8: int  # > 0: received

    @property
    def net_e8(self) -> int:
        """After fees and funding."""
        return self.gross_e8 - self.fees_e8 + self.funding_e8


@dataclass(frozen=True)
class Totals:
    """Sums over an asset's fills. Amounts in 1e-8 of the settlement currency, quantities in lots."""

    fills: int
    maker_fills: int
    bought_lots: int
    sold_lots: int
    turnover_e8: int
    fees_e8: int
    maker_fees_e8: int


@dataclass(frozen=True)
class Account:
    """One asset's money from the first event to the last."""

    points: tuple[Point, ...]
    totals: Totals
    funding: tuple[FundingPayment, ...]


class Money:
    """Amounts of one asset, linear or inverse."""

    def __init__(self, instrument: Instrument, asset: AssetParameters) -> None:
        self._instrument = instrument
        self._asset = asset
        self._is_inverse = asset.is_inverse

    def amount_e8(self, half_ticks: int, lots: int) -> int:
        """The value of `lots` at a price in half ticks, both positive; rounded to the nearest unit."""
        multiplier, divisor = self._instrument.notional_factor
        if not self._is_inverse:
            return (half_ticks * lots * multiplier + divisor) // (2 * divisor)
        # contract_size · quantity / price; price = half ticks · tick / 2.
        own = self._instrument
        price_scale: int = 10**own.price_decimals
        quantity_scale: int = 10**own.quantity_decimals
        over = 2 * own.contract_size_e8 * lots * own.lot_size * price_scale
        under = half_ticks * own.tick_size * quantity_scale
        return (over + under // 2) // under

    def flow_e8(self, half_ticks: int, signed_lots: int) -> int:
        """What a fill does to the cash."""
        amount = self.amount_e8(half_ticks, abs(signed_lots))
        return amount if (signed_lots < 0) != self._is_inverse else -amount

    def worth_e8(self, half_ticks: int, position_lots: int) -> int:
        """What a position is worth: the cash if it were closed there."""
        return self.flow_e8(half_ticks, -position_lots)

    def fee_e8(self, half_ticks: int, lots: int, is_maker: bool) -> int:
        """The fee of a fill."""
        rate = self._instrument.maker_fee_e8 if is_maker else self._instrument.taker_fee_e8
        return (self.amount_e8(half_ticks, lots) * rate + E8 // 2) // E8


def account_of(
    instrument: Instrument, asset: AssetParameters, number: int, fills: Any, samples: Any, funding: Sequence[FundingTime]
) -> Account:
    """The account of asset `number` at every sample of it. Fills count from the moment the strategy could know them."""
    money = Money(instrument, asset)
    own_fills = fills[fills["asset"] == number].tolist()
    own_samples = samples[samples["asset"] == number].tolist()
    payments = _payments(money, number, own_fills, own_samples, funding)
    points = []
    cash = fees = turnover = maker_fees = makers = bought = sold = position = paid = 0
    next_fill = next_payment = 0
    for time_ns, _, bid, ask, _, _ in own_samples:
        while next_fill < len(own_fills) and own_fills[next_fill][0] <= time_ns:
            _, _, _, _, ticks, lots, is_maker = own_fills[next_fill]
            cash += money.flow_e8(2 * ticks, lots)
            fee = money.fee_e8(2 * ticks, abs(lots), bool(is_maker))
            fees += fee
            maker_fees += fee if is_maker else 0
            makers += is_maker
            turnover += money.amount_e8(2 * ticks, abs(lots))
            bought += max(lots, 0)
            sold += max(-lots, 0)
            position += lots
            next_fill += 1
        while next_payment < len(payments) and payments[next_payment].time_ns <= time_ns:
            paid += payments[next_payment].amount_e8
            next_payment += 1
        gross = cash + (money.worth_e8(bid + ask, position) if position else 0)
        points.append(Point(time_ns, bid + ask, position, gross, fees, paid))
    assert next_fill == len(own_fills), "the last sample is taken after the last fill"
    totals = Totals(len(own_fills), makers, bought, sold, turnover, fees, maker_fees)
    return Account(tuple(points), totals, tuple(payments))


def _payments(
    money: Money, number: int, fills: list[Any], samples: list[Any], funding: Sequence[FundingTime]
) -> list[FundingPayment]:
    """Position and mid are those of the last fill and sample before each funding time: no mark price is recorded."""
    times = [sample[0] for sample in samples]
    payments = []
    position = next_fill = 0
    for due in sorted(funding, key=lambda each: each.time_ns):
        place = bisect.bisect_right(times, due.time_ns) - 1
        if place < 0 or due.time_ns > times[-1]:
            continue  # Outside the data.
        while next_fill < len(fills) and fills[next_fill][0] <= due.time_ns:
            position += fills[next_fill][5]
            next_fill += 1
        amount = money.amount_e8(samples[place][2] + samples[place][3], abs(position))
        paid = (amount * abs(due.rate_e8) + E8 // 2) // E8
        sign = 1 if (position > 0) == (due.rate_e8 < 0) else -1  # A long receives when the rate is below zero.
        payments.append(FundingPayment(due.time_ns, number, due.rate_e8, position, sign * paid if position else 0))
    return payments
