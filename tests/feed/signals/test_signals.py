"""What each signal says, with literal tops and times."""

import pytest

from reactor.domain.instrument import Instrument, Instruments
from reactor.domain.messages import new
from reactor.feed.signals import parameters
from reactor.feed.signals.adaptive_spread import AdaptiveSpread
from reactor.feed.signals.book_top import BookTop
from reactor.feed.signals.fixed_spread import FixedSpread
from reactor.feed.signals.funding import FundingDirection, FundingRisk, predicted_rate
from reactor.feed.signals.position_close import PositionClose
from reactor.feed.signals.signal import SignalContext

MS = 1_000_000
SECOND = 1_000_000_000


def instrument(index, price_decimals, tick_size=1):
    return Instrument(
        instrument_index=index, venue=index, symbol="BTCUSDT", base_asset="BTC", quote_asset="USDT",
        price_decimals=price_decimals, tick_size=tick_size, quantity_decimals=3, lot_size=1, quantity_lots_min=1,
        quantity_lots_max=10**9, market_quantity_lots_max=10**9, price_ticks_min=1, price_ticks_max=10**9,
        notional_min_e8=0, maker_fee_e8=0, taker_fee_e8=0,
    )  # fmt: skip


INSTRUMENTS = Instruments([instrument(0, 2), instrument(1, 2, tick_size=10)])  # ticks of 0.01 and of 0.10


class Tops(list):
    """Spot at 100.00/100.01 and a perpetual, in ticks."""

    def __init__(self):
        super().__init__([new("book_top"), new("book_top")])
        self.spot(10_000, 10_001)
        self.perpetual(1_001, 1_002)

    def _set(self, index, bid, ask):
        top = self[index]
        top.bid_ticks, top.ask_ticks, top.bid_lots, top.ask_lots, top.is_synchronised = bid, ask, 5, 5, 1

    def spot(self, bid, ask):
        self._set(0, bid, ask)

    def perpetual(self, bid, ask):
        self._set(1, bid, ask)


@pytest.fixture
def tops():
    return Tops()


def context(position=None):
    return SignalContext(INSTRUMENTS, 0, 1, position)


# ---- spreads --------------------------------------------------------------------------------------------------


def test_spreads_compare_prices_although_the_ticks_differ(tops):
    signal = FixedSpread(context(), parameters.FixedSpreadParameters())
    assert signal.update(tops, 0)
    assert signal.values[0] == pytest.approx(100.1 / 100.01 - 1)
    assert signal.values[1] == pytest.approx(100.00 / 100.2 - 1)


def test_an_unchanged_spread_is_not_said_again(tops):
    signal = FixedSpread(context(), parameters.FixedSpreadParameters())
    assert signal.update(tops, 0)
    assert not signal.update(tops, 1)
    assert signal.is_valid


def test_a_fixed_spread_gives_its_direction_until_it_has_fallen_below_the_margin(tops):
    signal = FixedSpread(context(), parameters.FixedSpreadParameters(short_min=0.002, long_min=0.002, margin=0.0005))
    seen = []
    for bid in (1_001, 1_003, 1_002, 1_001, 1_002):
        tops.perpetual(bid, bid + 1)
        signal.update(tops, 0)
        seen.append((round(signal.values[0] * 1e4), signal.values[2]))
    assert seen == [(9, 0.0), (29, -1.0), (19, -1.0), (9, 0.0), (19, 0.0)]
    tops.perpetual(990, 991)
    signal.update(tops, 0)
    assert signal.values[2] == 1.0


@pytest.mark.parametrize("which", ["unsynchronised", "no bid", "no ask"])
def test_no_spread_is_made_from_a_book_that_cannot_be_believed(tops, which):
    signals = [
        FixedSpread(context(), parameters.FixedSpreadParameters()),
        AdaptiveSpread(context(), parameters.AdaptiveSpreadParameters(samples_min=1)),
    ]
    for signal in signals:
        signal.update(tops, 0)
        assert signal.is_valid
    if which == "unsynchronised":
        tops[1].is_synchronised = 0
    elif which == "no bid":
        tops[0].bid_ticks = 0
    else:
        tops[1].ask_ticks = 0
    for signal in signals:
        assert not signal.update(tops, SECOND)
        assert not signal.is_valid


def test_an_adaptive_spread_says_nothing_before_it_has_samples(tops):
    signal = AdaptiveSpread(context(), parameters.AdaptiveSpreadParameters(samples_min=3, sample_interval_ms=100))
    assert [signal.update(tops, now_ms * MS) for now_ms in (100, 150, 200, 250, 300)] == [False, False, False, False, True]


def test_samples_are_taken_on_a_time_grid_however_many_ticks_come(tops):
    signal = AdaptiveSpread(context(), parameters.AdaptiveSpreadParameters(samples_min=1, sample_interval_ms=100))
    for now_ms in range(1000, 2000):
        signal.update(tops, now_ms * MS)
    assert len(signal.window_short) == 10
    for now_ms in range(2000, 3000):
        signal.on_time(tops, now_ms * MS)
    assert len(signal.window_short) == 20


def test_the_percentile_is_the_rank_among_the_samples(tops):
    signal = AdaptiveSpread(context(), parameters.AdaptiveSpreadParameters(samples_min=1, window_samples=4))
    for second, bid in enumerate((1_001, 1_002, 1_003, 1_004)):
        tops.perpetual(bid, bid + 1)
        signal.update(tops, second * SECOND)
    assert (signal.values[1], signal.values[3]) == (0.875, 0.125)
    tops.perpetual(1_002, 1_003)
    assert signal.update(tops, 3 * SECOND + 1)
    assert (signal.values[1], signal.values[3]) == (0.375, 0.625)


def test_a_successor_on_the_same_grid_takes_over_the_samples(tops):
    old = AdaptiveSpread(context(), parameters.AdaptiveSpreadParameters(samples_min=1))
    for second in range(5):
        old.update(tops, second * SECOND)
    same = AdaptiveSpread(context(), parameters.AdaptiveSpreadParameters(samples_min=2))
    same.adopt(old)
    assert len(same.window_short) == 5
    other = AdaptiveSpread(context(), parameters.AdaptiveSpreadParameters(window_samples=7))
    other.adopt(old)
    assert len(other.window_short) == 0


# ---- funding --------------------------------------------------------------------------------------------------


def fund(tops, rate, price=100.0, index_price=100.0):
    top = tops[1]
    top.funding_rate, top.mark_price, top.index_price = rate, price, index_price
    top.exchange_ns, top.receive_ns, top.next_funding_ms = 1_000 * SECOND, 10, 1_060_000


def test_funding_keeps_its_direction_between_the_two_thresholds(tops):
    signal = FundingDirection(context(), parameters.FundingDirectionParameters(enter_rate=0.0001, exit_rate=0.00005))
    seen = []
    for rate in (0.00008, 0.0001, 0.00006, 0.00004, 0.00006, -0.0002, -0.00006, 0.00006, 0.0):
        fund(tops, rate)
        signal.update(tops, 10)
        seen.append(signal.values[1])
    assert seen == [0, -1, -1, 0, 0, 1, 1, 0, 0]


def test_funding_knows_how_long_it_is_until_the_payment(tops):
    signal = FundingDirection(context(), parameters.FundingDirectionParameters())
    fund(tops, 0.0001)
    signal.update(tops, 10 + 20 * SECOND)
    assert signal.values[3] == pytest.approx(40.0)


def test_without_a_mark_price_nothing_is_known_of_funding(tops):
    signal = FundingDirection(context(), parameters.FundingDirectionParameters())
    assert not signal.update(tops, 0)
    assert not signal.is_valid


@pytest.mark.parametrize(
    ("mark", "index", "rate"),
    [(100.0, 100.0, 0.0001), (100.2, 100.0, 0.0015), (99.8, 100.0, -0.0015), (100.03, 100.0, 0.0001), (100.0, 0.0, 0.0001)],
)
def test_the_predicted_rate_follows_the_venues_formula(mark, index, rate):
    assert predicted_rate(mark, index) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("direction", "rate", "risk"),
    [(-1, 0.0002, 0.0), (-1, -0.0001, 1.0), (1, -0.0002, 0.0), (1, 0.0001, 1.0), (0, -0.5, 0.0)],
)
def test_funding_is_a_risk_when_the_open_pair_pays(tops, direction, rate, risk):
    position = new("position")
    position.pair_direction = direction
    signal = FundingRisk(context(position), parameters.FundingRiskParameters())
    fund(tops, rate)
    assert signal.update(tops, 0)
    assert list(signal.values)[:3] == [risk, rate, direction]


def test_a_risk_is_over_only_when_funding_pays_again(tops):
    position = new("position")
    position.pair_direction = -1
    signal = FundingRisk(context(position), parameters.FundingRiskParameters(risk_rate=0.00001, clear_rate=0.00002))
    seen = []
    for rate in (0.0, -0.00001, -0.00002, 0.0, 0.00001, 0.00002, 0.0):
        fund(tops, rate)
        signal.update(tops, 0)
        seen.append(signal.values[0])
    assert seen == [0, 0, 1, 1, 1, 0, 0]


# ---- close ----------------------------------------------------------------------------------------------------


def opened(direction, entry_e8, opened_ns=SECOND):
    position = new("position")
    position.pair_direction, position.pair_entry_spread_e8, position.pair_opened_ns = direction, entry_e8, opened_ns
    return position


CLOSE = parameters.PositionCloseParameters(take_profit=0.001, stop_loss=0.002, age_s_max=100)


@pytest.mark.parametrize(
    ("direction", "entry_e8", "now_s", "reason", "earned"),
    [
        (-1, 310_000, 2, 1, 0.0031 - 0.002),  # sold at +31 bp, buyable at +20 bp
        (-1, 250_000, 2, 0, 0.0005),
        (-1, -100_000, 2, 2, -0.003),
        (-1, 250_000, 101, 3, 0.0005),
        (1, 0, 2, 0, 100.1 / 100.01 - 1),
        (1, -50_000, 2, 1, 100.1 / 100.01 - 1 + 0.0005),
        (1, 400_000, 2, 2, 100.1 / 100.01 - 1 - 0.004),
    ],
)
def test_a_pair_is_closed_for_profit_loss_or_age(tops, direction, entry_e8, now_s, reason, earned):
    signal = PositionClose(context(opened(direction, entry_e8)), CLOSE)
    assert signal.update(tops, now_s * SECOND)
    assert signal.values[0] == reason
    assert signal.values[1] == pytest.approx(earned, abs=2e-7)
    assert signal.values[2] == now_s - 1


def test_a_reason_is_said_once_and_then_at_the_refresh(tops):
    signal = PositionClose(context(opened(-1, 310_000)), CLOSE)
    assert signal.update(tops, 2 * SECOND)
    assert not signal.update(tops, 3 * SECOND)
    assert signal.is_valid


def test_a_closed_pair_is_told_once_so_that_the_trigger_re_arms(tops):
    position = opened(-1, 310_000)
    signal = PositionClose(context(position), CLOSE)
    signal.update(tops, 2 * SECOND)
    position.pair_direction = 0
    assert signal.update(tops, 3 * SECOND)
    assert signal.values[0] == 0.0
    assert not signal.update(tops, 4 * SECOND)
    assert not signal.is_valid


def test_without_books_only_age_closes(tops):
    tops[0].is_synchronised = 0
    signal = PositionClose(context(opened(-1, 310_000)), CLOSE)
    assert not signal.update(tops, 2 * SECOND)
    assert signal.update(tops, 102 * SECOND)
    assert signal.values[0] == 3


def test_a_rule_that_is_zero_is_off(tops):
    off = parameters.PositionCloseParameters(take_profit=0, stop_loss=0, age_s_max=0)
    for entry_e8 in (10_000_000, -10_000_000):
        signal = PositionClose(context(opened(-1, entry_e8)), off)
        signal.update(tops, 10**6 * SECOND)
        assert signal.values[0] == 0


# ---- book top -------------------------------------------------------------------------------------------------


def test_a_book_top_says_mid_and_spread_in_price_units(tops):
    signal = BookTop(SignalContext(INSTRUMENTS, 1), parameters.BookTopParameters())
    assert signal.update(tops, 0)
    assert list(signal.values)[:2] == pytest.approx([100.15, 0.1])
    tops[1].ask_ticks = 0
    assert not signal.update(tops, 0)
