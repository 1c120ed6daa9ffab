"""Index, mark and funding of one perpetual."""

from reactor.sim.funding import RATE_CAP_E8, FundingModel, FundingParameters
from reactor.sim.symbols import USDM_SYMBOLS
from reactor.sim.updates import MarkUpdate

S = 1_000_000_000
NOW_NS = 1_700_000_000 * S
RULES = USDM_SYMBOLS["BTCUSDT"]


def test_rates_are_positive_unless_told_otherwise_and_bounded() -> None:
    model = FundingModel(RULES, FundingParameters(regime_s=10), NOW_NS)
    rates = {model.rate_e8(NOW_NS + second * S) for second in range(0, 2_000, 5)}
    assert len(rates) > 50
    assert all(0 < rate <= RATE_CAP_E8 for rate in rates)


def test_a_regime_holds_its_rate_and_the_seed_writes_the_script() -> None:
    parameters = FundingParameters(regime_s=60, positive_share=0.5)
    first, second = (FundingModel(RULES, parameters, NOW_NS) for _ in range(2))
    script = [first.rate_e8(NOW_NS + second_ * S) for second_ in range(0, 6_000, 30)]
    assert script == [second.rate_e8(NOW_NS + second_ * S) for second_ in range(0, 6_000, 30)]
    assert script[0] == script[1] != script[2]
    assert any(rate < 0 for rate in script)
    assert any(rate > 0 for rate in script)


def test_the_mark_follows_the_index_and_the_smoothed_premium() -> None:
    model = FundingModel(RULES, FundingParameters(), NOW_NS)
    model.observe(60_030 * S, 60_000 * S)
    assert (model.index_e8, model.mark_e8) == (60_000 * S, 60_030 * S)
    model.observe(60_060 * S, 60_000 * S)
    assert model.mark_e8 == 60_031 * S, "a thirtieth of a change of premium at once"
    model.observe(0, 0)
    assert model.mark_e8 == 60_031 * S + 29 * S // 30 or model.mark_e8 > 60_030 * S


def test_funding_times_are_aligned_to_the_interval() -> None:
    model = FundingModel(RULES, FundingParameters(interval_s=30), NOW_NS)
    due_ns = model.next_funding_ns
    assert due_ns % (30 * S) == 0
    assert NOW_NS < due_ns <= NOW_NS + 30 * S
    model.observe(60_000 * S, 60_000 * S)
    assert model.charge(due_ns + 5) == model.last_rate_e8
    assert model.next_funding_ns == due_ns + 30 * S
    assert [row.funding_ns for row in model.history] == [due_ns]


def told(rate_e8: int, next_funding_ns: int) -> MarkUpdate:
    return MarkUpdate("usdm", "BTCUSDT", 60_010 * S, 60_000 * S, 60_001 * S, rate_e8, next_funding_ns, 0, 0)


def test_a_followed_venue_tells_mark_rate_and_time_and_the_model_is_silent() -> None:
    model = FundingModel(RULES, FundingParameters(), NOW_NS)
    model.follow(told(-1_234, NOW_NS + 100 * S), NOW_NS)
    model.observe(70_000 * S, 70_000 * S)
    view = model.view(NOW_NS)
    assert (view.mark_e8, view.index_e8, view.settle_e8) == (60_010 * S, 60_000 * S, 60_001 * S)
    assert (view.funding_rate_e8, view.next_funding_ns) == (-1_234, NOW_NS + 100 * S)


def test_a_followed_venue_that_moves_on_first_is_charged_once_with_its_old_rate() -> None:
    model = FundingModel(RULES, FundingParameters(), NOW_NS)
    due_ns = NOW_NS + 100 * S
    model.follow(told(500, due_ns), NOW_NS)
    model.follow(told(900, due_ns + 3_600 * S), due_ns - S)  # Our clock is a second behind the venue's.
    assert model.next_funding_ns == due_ns - S, "due at once"
    assert model.charge(due_ns - S) == 500
    assert model.next_funding_ns == due_ns + 3_600 * S
    assert model.view(due_ns).funding_rate_e8 == 900


def test_a_followed_venue_that_moves_on_later_than_our_clock_is_charged_once_too() -> None:
    model = FundingModel(RULES, FundingParameters(), NOW_NS)
    due_ns = NOW_NS + 100 * S
    model.follow(told(500, due_ns), NOW_NS)
    assert model.charge(due_ns) == 500
    model.follow(told(510, due_ns), due_ns + S // 2)
    assert model.next_funding_ns > due_ns + S, "what was said before we charged makes nothing due again"
    model.follow(told(900, due_ns + 3_600 * S), due_ns + S)
    assert model.next_funding_ns == due_ns + 3_600 * S
    assert [row.rate_e8 for row in model.history] == [500]
