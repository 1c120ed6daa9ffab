"""A plan says who writes to whom, and carries nothing secret."""

import pickle
import stat
from pathlib import Path

import pytest

from reactor.config.assemble import assemble, symbols_by_venue
from reactor.config.load import load
from reactor.config.placement import Host
from reactor.config.plan import SUPERVISOR, Plan, read_plan, write_plan
from reactor.domain.errors import ConfigError
from reactor.domain.instrument import Instrument, Instruments
from reactor.exchanges.binance.rules import endpoints_at


def instrument(index: int, venue: int, symbol: str) -> Instrument:
    return Instrument(
        index,
        venue,
        symbol,
        symbol[:3],
        "USDT",
        2,
        5,
        1,
        1,
        1,
        10**9,
        10**9,
        1,
        10**9,
        500_000_000,
        0,
        0,
        is_perpetual=venue == 1,
    )


def make_plan(assignments: tuple[str, ...] = ()) -> Plan:
    config = load("generated", assignments=assignments)
    rows: list[Instrument] = []
    for venue, symbols in enumerate(symbols_by_venue(config).values()):
        rows += [instrument(len(rows) + position, venue, symbol) for position, symbol in enumerate(symbols)]
    bells: dict[str, int] = {}
    endpoints = [endpoints_at(venue, f"http://127.0.0.1:{9080 + venue}") for venue in (0, 1)]
    return assemble(
        config, Instruments(rows), endpoints, {}, Host((0, 1)), "/run", lambda shard: bells.setdefault(shard, 10 + len(bells))
    )


def test_every_pair_has_a_feed_that_owns_both_legs():
    plan = make_plan()
    assert plan.pairs == ((0, 2), (1, 3))
    assert [role.instruments for role in plan.of_kind("feed")] == [(0, 2), (1, 3)]


def test_the_links_are_the_arrows_of_the_drawing():
    arrows = {
        (link.message, link.producer, link.consumer)
        for link in make_plan().links
        if SUPERVISOR not in (link.producer, link.consumer)
    }
    assert arrows == {
        ("signal", "feed-0", "collector"),
        ("signal", "feed-1", "collector"),
        ("event", "collector", "prepost"),
        ("response", "prepost", "collector"),
        ("command", "prepost", "engine"),
        ("report", "engine", "prepost"),
        ("journal", "prepost", "journal"),
    }


TRADED = ("binance_usdm:BTCUSDT", "binance_spot:ETHUSDT")
BOTS = f"strategy.live_bots=[{{name: grid, file: %s, function: trade, instruments: [{', '.join(map(repr, TRADED))}]}}]"


def test_a_live_bot_is_a_producer_of_its_own_that_hears_every_feed_it_trades_on():
    plan = make_plan((BOTS % __file__,))
    (bot,) = plan.of_kind("live_bot")
    arrows = {(link.message, link.producer, link.consumer) for link in plan.links if bot.name in (link.producer, link.consumer)}
    assert arrows == {
        ("market", "feed-0", "bot-grid"),
        ("market", "feed-1", "bot-grid"),
        ("signal", "bot-grid", "collector"),
        ("response", "prepost", "bot-grid"),
        ("control", SUPERVISOR, "bot-grid"),
        ("log", "bot-grid", SUPERVISOR),
    }
    assert plan.shard_of("bot-grid").roles == ("bot-grid",), "a process of its own, whatever the layout"
    parameters = bot.read_parameters()
    assert tuple(plan.instruments[asset.instrument_index].name for asset in parameters.assets) == TRADED


def test_a_live_bot_shares_no_process():
    with pytest.raises(ConfigError, match="process of its own"):
        make_plan((BOTS % __file__, "system.placement.colocate=[[collector, bot-grid]]"))


def test_the_supervisor_speaks_to_every_role_and_hears_every_log():
    plan = make_plan()
    names = {role.name for role in plan.roles}
    assert {link.consumer for link in plan.links if link.message == "control"} == names
    assert {link.producer for link in plan.links if link.message == "log"} == names


def test_link_names_are_unique_and_capacities_powers_of_two():
    links = make_plan().links
    assert len({link.name for link in links}) == len(links)
    assert all(link.capacity & (link.capacity - 1) == 0 for link in links)


def test_each_shard_has_one_bell_of_its_own():
    plan = make_plan(("system.placement.layout=processes",))
    assert len({shard.wake_fd for shard in plan.shards}) == len(plan.shards) == 6


def test_colocated_roles_share_a_shard():
    plan = make_plan(("system.placement.colocate=[[collector, prepost, engine]]",))
    assert plan.shard_of("prepost").roles == ("collector", "prepost", "engine")


def test_a_plan_file_is_private_and_reads_back(tmp_path: Path):
    plan = make_plan()
    path = tmp_path / "plan.0"
    write_plan(plan, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_plan(path) == plan


def test_a_role_reads_its_own_parameters_only():
    prepost = make_plan().role("prepost")
    parameters = prepost.read_parameters()
    assert type(parameters).__name__ == "PrepostParameters"
    assert b"secret" not in pickle.dumps(parameters)
