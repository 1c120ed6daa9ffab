"""Margins at given marks."""

from reactor.sim.accounts import Account
from reactor.sim.events import Order
from reactor.sim.margin import closes, cross_margin, initial_margins_e8, liquidation_price_e8, wallet_view
from reactor.sim.symbols import USDM_SYMBOLS

BTC, ETH = USDM_SYMBOLS["BTCUSDT"], USDM_SYMBOLS["ETHUSDT"]
USDT = 10**8
MARKS = {"BTCUSDT": 60_000 * USDT, "ETHUSDT": 2_500 * USDT}


def account(btc_lots: int = 0, eth_lots: int = 0, wallet: int = 10_000) -> Account:
    owner = Account(1, wallet_e8=wallet * USDT)
    owner.position(BTC, "BOTH").apply_fill(btc_lots, 600_000)
    owner.position(ETH, "BOTH").apply_fill(eth_lots, 250_000)
    return owner


def test_a_resting_order_binds_margin_only_for_what_it_could_add() -> None:
    owner = account(btc_lots=100)  # long 6 000 USDT at leverage 20
    assert initial_margins_e8(owner, "BTCUSDT", MARKS["BTCUSDT"]) == (300 * USDT, 0)
    order = Order(1, 1, BTC, "x", "SELL", "LIMIT", "GTC", 600_000, 150, 0, 0)
    owner.open_orders[1] = order
    owner.recount(order)
    assert initial_margins_e8(owner, "BTCUSDT", MARKS["BTCUSDT"]) == (300 * USDT, 0), "it would close, then open half"
    order.quantity_lots = 300
    owner.recount(order)
    assert initial_margins_e8(owner, "BTCUSDT", MARKS["BTCUSDT"]) == (300 * USDT, 300 * USDT)
    del owner.open_orders[1]
    owner.recount(order)
    assert owner.open_notionals[("BTCUSDT", "BOTH")] == [0, 0, 0, 0]


def test_at_the_liquidation_price_margin_and_maintenance_meet() -> None:
    owner = account(btc_lots=2_000, eth_lots=-10_000)
    position = owner.position(BTC, "BOTH")
    price = liquidation_price_e8(owner, position, MARKS.__getitem__)
    there = MARKS | {"BTCUSDT": price}
    state = cross_margin(owner, there.__getitem__)
    assert abs(state.margin_e8 - state.maintenance_e8) < 10
    assert 0 < price < 60_000 * USDT


def test_a_flat_or_overfunded_position_has_no_liquidation_price() -> None:
    owner = account(btc_lots=1)
    assert liquidation_price_e8(owner, owner.position(BTC, "BOTH"), MARKS.__getitem__) == 0
    assert liquidation_price_e8(owner, owner.position(ETH, "BOTH"), MARKS.__getitem__) == 0


def test_available_is_what_neither_positions_nor_orders_bind() -> None:
    view = wallet_view(account(btc_lots=100), {"BTCUSDT": BTC, "ETHUSDT": ETH}, MARKS.__getitem__)
    assert view.available_e8 == 9_700 * USDT
    assert view.margin_e8 == 10_000 * USDT
    fallen = wallet_view(
        account(btc_lots=100), {"BTCUSDT": BTC, "ETHUSDT": ETH}, (MARKS | {"BTCUSDT": 50_000 * USDT}).__getitem__
    )
    assert fallen.unrealised_e8 == -1_000 * USDT
    assert fallen.available_e8 == 9_000 * USDT - 250 * USDT


def test_in_hedge_mode_the_side_tells_whether_it_closes() -> None:
    assert closes("LONG", "SELL")
    assert closes("SHORT", "BUY")
    assert not closes("LONG", "BUY")
    assert not closes("BOTH", "SELL")
