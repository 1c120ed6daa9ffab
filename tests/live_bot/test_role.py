"""A bot's two threads without the process: links, beginning, ends. The test plays feed, prepost and supervisor."""

import gc
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba", reason="the extra `backtest` is not installed")

from reactor.domain.errors import ConfigError
from reactor.domain.instrument import Instruments
from reactor.domain.messages import SIZE, VIEW, ControlKind, LifeState, Reason, clear
from reactor.live_bot.counters import Counter
from reactor.live_bot.parameters import AssetParameters, LiveBotParameters
from reactor.live_bot.role import LiveBotPorts, LiveBotRole
from reactor.loop.log import ListLog
from shm.clock import monotonic_ns
from shm.ring import heap_ring

PATIENCE_S = 60.0  # A compilation on a busy host.

SOURCE = """
from numba import njit

@njit
def quote(hbt, recorder):
    while hbt.elapse(1_000_000) == 0:
        recorder.record(hbt)
        if len(hbt.orders(0)) == 0:
            hbt.submit_buy_order(0, 7, hbt.depth(0).best_bid, 0.1, 1, 0, False)
    return True

@njit
def fail(hbt):
    hbt.elapse(1_000_000)
    raise ValueError("no market for this")

@njit
def wrong(hbt):
    return hbt.no_such_call()
"""


@pytest.fixture(autouse=True)
def keep_garbage_collected():
    """A bot's process freezes it; the tests' process must not stay so."""
    yield
    gc.unfreeze()
    gc.enable()


class Stand:
    """A role whose main thread is the test."""

    def __init__(self, bench, directory: Path, function: str) -> None:
        self.bench = bench
        bench.core.unlock()
        (directory / "mine.py").write_text(SOURCE)
        self.log = ListLog()
        self.control, control = heap_ring(16, SIZE["control"], VIEW["control"], lanes=1)
        self.is_reconciled = False
        parameters = LiveBotParameters(
            "mine", str(directory / "mine.py"), function, (AssetParameters(0, 90.0, 110.0),), orders_max=64
        )
        ports = LiveBotPorts(
            Instruments(bench.instruments), bench.core.wires, bench.metrics, self.log, (), lambda: self.is_reconciled, control,
            source_index=7, directory=directory,
        )  # fmt: skip
        self.role = LiveBotRole(parameters, ports)
        self.role._begin()

    def until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"{what}: {self.log.records}"
            self.role._look(monotonic_ns())
            time.sleep(0.001)

    def texts(self) -> list[str]:
        return [text for _, text, _ in self.log.records]

    def stop(self) -> None:
        slot = self.control.try_claim()
        clear(slot, "control")
        slot.header.kind = ControlKind.STOP
        self.control.commit()


def test_a_strategy_begins_when_its_books_and_ours_are_right_and_ends_in_order(bench, tmp_path):
    stand = Stand(bench, tmp_path, "quote")
    stand.until(lambda: "strategy compiled" in stand.texts(), "compiled")
    assert bench.wishes() == []
    bench.load([(1000, 5)], [(1001, 4)])
    stand.until(lambda: stand.role.core.is_synchronised(), "the book came")
    assert "strategy begins" not in stand.texts()
    stand.is_reconciled = True
    found = []
    stand.until(lambda: found.extend(bench.wishes()) or found, "it placed an order")
    assert bench.metrics.view.life_state == LifeState.READY
    assert found[0].price_ticks == 1000
    bench.accept(found[0], 900)
    stand.until(lambda: bench.metrics.get(Counter.ACKNOWLEDGED), "it was acknowledged")
    stand.stop()
    stand.until(lambda: "strategy has returned" in stand.texts(), "stop is a non-zero return")
    cancels = []
    stand.until(lambda: cancels.extend(bench.wishes()) or cancels, "its order is withdrawn")
    assert cancels[0].order_id == 900
    stand.until(lambda: "records saved" in stand.texts(), "records")
    assert len(np.load(tmp_path / "mine.npz")["0"]) > 0


def test_a_strategy_that_raises_is_switched_off_with_its_sentence_and_the_process_stays(bench, tmp_path):
    stand = Stand(bench, tmp_path, "fail")
    stand.is_reconciled = True
    bench.load([(1000, 5)], [(1001, 4)])
    stand.until(lambda: "strategy switched off: it failed" in stand.texts(), "it fails")
    (error,) = [fields["error"] for _, text, fields in stand.log.records if text == "strategy switched off: it failed"]
    assert error == "ValueError: no market for this"
    stand.until(lambda: bench.metrics.view.life_state == LifeState.READY, "it stays, with a heartbeat")


def test_what_cannot_be_compiled_ends_the_process_with_a_sentence(bench, tmp_path):
    stand = Stand(bench, tmp_path, "wrong")
    stand.until(lambda: stand.role._config_error, "Numba's answer")
    assert isinstance(stand.role._config_error, ConfigError)
    assert "wrong: cannot be compiled" in str(stand.role._config_error)


def test_refusals_are_told_by_reason_and_a_new_prepost_ends_what_was_open(bench, tmp_path):
    stand = Stand(bench, tmp_path, "quote")
    stand.is_reconciled = True
    bench.load([(1000, 5)], [(1001, 4)])
    found = []
    stand.until(lambda: found.extend(bench.wishes()) or found, "it placed an order")
    bench.respond("REFUSED", found[0], reason=int(Reason.CAPITAL_LIMIT))
    stand.until(lambda: bench.metrics.get(Counter.REFUSED), "refused")
    stand.role._refusals_ns = 0
    stand.until(lambda: "risk rules refused orders of a strategy" in stand.texts(), "told")
    bench.core.wires.responses.meetings += 1
    stand.until(lambda: "prepost was started again: open orders count as over" in stand.texts(), "noticed")
    stand.stop()
    stand.until(lambda: "strategy has returned" in stand.texts(), "over")
