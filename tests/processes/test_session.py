"""Real processes against a simulated exchange: however a session ends, nothing of ours stays open and nothing is doubled."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reactor.journal.history import Reader
from reactor.journal.schema import journal_path

pytestmark = pytest.mark.processes

ROLES = ("journal", "engine", "prepost", "collector", "feed-0")
CLEAN_TIME_S = 5.0


def wait_until_clean(house, time_s: float = CLEAN_TIME_S) -> None:
    """The exchange reports no open order of ours within `time_s`."""
    deadline = time.monotonic() + time_s
    while True:
        answer = house.exchange.open_orders(house.prefix)
        if not answer.ours and not answer.problems:
            return
        assert time.monotonic() < deadline, f"still open: {answer.ours} {answer.problems}"
        time.sleep(0.1)


def assert_books_agree(house) -> None:
    report = house.report()
    assert report["open_orders"] == 0, report["problems"]
    assert report["positions_and_balances_equal"] is True, report["comparisons"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_ends_the_session_in_order_and_leaves_the_orders_of_others(make_house: Callable, how: int):
    house = make_house()
    house.exchange.place_foreign()
    house.wait_until_trading()
    assert house.end(how) == 0, house.words()
    answer = house.exchange.open_orders(house.prefix)
    assert answer.ours == []
    assert [order.client_order_id for order in answer.foreign] == ["somebody-else"]
    assert house.report()["foreign_orders"] == 1
    assert_books_agree(house)
    house.assert_nobody_is_left()


def test_stop_flatten_closes_every_pair_and_answers_with_the_exit_code(make_house: Callable):
    house = make_house()
    house.wait_until_trading()
    house.pids()
    done = house.command("stop", "--flatten", "--instance", house.name)
    assert done.returncode == 0, done.stderr + house.words()
    assert "nothing of ours is open" in done.stdout
    assert house.process.wait(10) == 0
    report = house.report()
    assert report["pairs_opened"] == report["pairs_closed"]
    assert report["positions"] == {}, "the perpetual is flat"
    assert_books_agree(house)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_killed_at_a_random_moment_comes_back_and_the_books_still_agree(make_house: Callable, role: str):
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    house = make_house()
    house.wait_until_trading()
    time.sleep(random.Random(seed).uniform(0.0, 1.0))
    victim = house.pids()[role]
    os.kill(victim, signal.SIGKILL)
    killed = time.monotonic()
    while house.pids().get(role, victim) == victim:
        assert time.monotonic() - killed < CLEAN_TIME_S, f"{role} was not started again: {house.words()}"
        time.sleep(0.02)
    readies = house.log().count(f'"text": "role is ready", "name": "{role}"')
    deadline = time.monotonic() + 10
    while readies < 2:
        assert time.monotonic() < deadline, f"{role} did not get ready again: {house.words()}"
        readies = house.log().count(f'"text": "role is ready", "name": "{role}"')
        time.sleep(0.05)
    time.sleep(1.0)
    assert house.end() == 0, house.words()
    assert house.exchange.open_orders(house.prefix).ours == []
    assert house.report()["restarts"] == {role: 1}
    assert_books_agree(house)
    house.assert_nobody_is_left()


def fills_that_nobody_heard(house) -> int:
    """How many trades the exchange lists that stand in no journal of ours."""
    there = sum(len(rows) for rows in house.exchange.trades("BTCUSDT", house.prefix))
    with Reader(journal_path(house.directory / "runs", house.name)) as reader:
        return there - next(reader.rows("SELECT count(*) AS fills FROM fills"))["fills"]


def kill_the_engine_over_a_fill(house) -> None:
    """It stands still until the exchange has filled an order of ours, and dies without having heard of it."""
    for _ in range(20):
        engine = house.pids()["engine"]
        os.kill(engine, signal.SIGSTOP)
        time.sleep(0.7)  # Prepost takes it for dead after a second, the supervisor kills it after three.
        if fills_that_nobody_heard(house) > 0:
            os.kill(engine, signal.SIGKILL)
            return
        os.kill(engine, signal.SIGCONT)
        time.sleep(1.0)
    raise AssertionError("no order of ours was filled while the engine stood still")


def test_a_stop_right_after_an_engines_death_books_what_that_did_not_hear(make_house: Callable):
    house = make_house(environment={"CRYPTO_TRADE__SYSTEM__STOP__DRAIN_MS": "20000"})  # Whatever else this host does.
    house.wait_until_trading()
    kill_the_engine_over_a_fill(house)
    assert house.end() == 0, house.words()
    assert house.said("drained")
    assert house.report()["restarts"] == {"engine": 1}
    assert house.report()["problems"] == []
    assert fills_that_nobody_heard(house) == 0
    assert_books_agree(house)
    house.assert_nobody_is_left()


def test_an_engine_that_does_not_come_back_in_time_is_told_and_nothing_stays_open(make_house: Callable):
    environment = {"CRYPTO_TRADE__SYSTEM__STOP__DRAIN_MS": "500", "CRYPTO_TRADE__SYSTEM__RESTART__BACKOFF_MS": "5000"}
    house = make_house(environment=environment)
    house.wait_until_trading()
    kill_the_engine_over_a_fill(house)
    assert house.end() == 4, house.words()
    report = house.report()
    assert report["open_orders"] == 0
    assert "engine had died and was not back within the 0.5 s that a stop waits" in report["problems"][0]
    assert "our books differ from the exchange's" in report["problems"][1]
    house.assert_nobody_is_left()


def test_a_killed_supervisor_leaves_nothing_open_and_the_next_start_finds_a_clean_host(make_house: Callable):
    house = make_house()
    house.wait_until_trading()
    house.pids()
    house.process.kill()
    house.process.wait(10)
    wait_until_clean(house)
    again = make_house()
    again.wait_until_trading(times=2)
    assert again.end() == 0, again.words()
    assert_books_agree(again)
    house.assert_nobody_is_left()


def test_two_instances_do_not_disturb_each_other_and_a_taken_name_is_refused(make_house: Callable):
    first = make_house("first", "aa")
    first.wait_until_trading()
    # An account of its own: a futures position that one's journal does not explain is a reason not to trade.
    second = make_house("second", "bb", key="test-key-2")
    second.wait_until_trading()
    refused = first.command("run", "--config", str(first.config), "--instance", first.name)
    assert refused.returncode == 2
    assert f"instance '{first.name}' is running already" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert first.end() == 0, first.words()
    assert second.process.poll() is None
    assert second.end() == 0, second.words()
    assert second.exchange.open_orders("aa").ours == []
    assert second.exchange.open_orders("bb").ours == []


def test_the_kill_switch_and_a_reload_are_obeyed_from_another_terminal(make_house: Callable):
    house = make_house()
    house.wait_until_trading()
    for command, state in (("halt", "HALTED"), ("resume", "RUNNING"), ("reduce-only", "REDUCE_ONLY"), ("resume", "RUNNING")):
        done = house.command(command, "--instance", house.name)
        assert done.returncode == 0
        assert state in done.stdout
    text = house.config.read_text()
    house.config.write_text(text.replace("cooldown_s: 0.3", "cooldown_x: 0.3"))
    refused = house.command("reload", "--instance", house.name)
    assert refused.returncode == 1
    assert "did you mean 'cooldown_s'" in refused.stderr
    house.config.write_text(text.replace("cooldown_s: 0.3", "cooldown_s: 0.2"))
    assert "reloaded as generation 1" in house.command("reload", "--instance", house.name).stdout
    cancelled = house.command("cancel-all", "--instance", house.name)
    assert cancelled.returncode == 0, cancelled.stderr
    assert "0 of ours still open" in cancelled.stdout
    assert house.end() == 0, house.words()


def test_roles_that_share_one_shard_trade_like_roles_of_their_own(make_house: Callable):
    house = make_house(extra="placement: {colocate: [[feed-0, collector, prepost, engine]]}")
    house.wait_until_trading(processes=2)
    assert len(house.pids()) == 2, "the journal writer, and everybody else"
    assert house.end() == 0, house.words()
    assert_books_agree(house)


def test_the_books_are_compared_with_the_venues_on_demand(make_house: Callable):
    house = make_house()
    house.wait_until_trading()
    done = house.command("check-books", "--instance", house.name)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 books equal the venue's" in done.stdout
    refused = house.command("check-books", "binance_spot:NOPE", "--instance", house.name)
    assert refused.returncode == 1
    assert "there are binance_spot:BTCUSDT" in refused.stderr
    assert house.end() == 0, house.words()


def test_a_port_in_use_is_one_clear_message(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        arguments = ["run", "--set", f"exchanges.binance.simulated.port={port}", "--set", f"system.directory={tmp_path}"]
        done = subprocess.run(
            [sys.executable, "-m", "reactor", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
            check=False,
        )
    assert done.returncode == 2
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_an_unwritable_report_is_refused_before_anything_starts(tmp_path: Path):
    target = tmp_path / "file"
    target.write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "reactor", "run", "--report", str(target / "r.json")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "--report" in done.stderr
    assert "Traceback" not in done.stderr


def test_captures_that_lack_a_traded_symbol_are_refused_by_its_name(tmp_path: Path):
    line = (
        '1700000000000000000 {"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":1,"s":"BTCUSDT","b":"100.10",'
        '"B":"1.000","a":"100.20","A":"2.000","T":1700000000000,"E":1700000000001}}\n'
    )
    (tmp_path / "perpetual_only").write_text(line)
    command = [sys.executable, "-m", "reactor", "run", "--plain", "--replay", str(tmp_path / "perpetual_only")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "no capture has binance_spot:BTCUSDT" in done.stderr
