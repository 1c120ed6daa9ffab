"""What users bring along, in a live session of real processes: a signal, a trigger, a sender of signals, a listener."""

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.processes

SHARED = {"CRYPTO_TRADE__SYSTEM__PLACEMENT__LAYOUT": "auto"}  # Nobody is killed here: a small host starts it sooner.

SIGNAL = """
from reactor.feed.signals.signal import SIGNAL_USER, Signal

class Pulse(Signal):
    \"\"\"Says how many tops it has seen, at every hundredth.\"\"\"

    signal_type = SIGNAL_USER
    value_count = 1

    def __init__(self, context, every=100):
        super().__init__(context)
        self.every = every
        self.seen = 0

    def update(self, tops, now_ns):
        self.seen += 1
        self.values[0] = float(self.seen)
        self.is_valid = bool(tops[self.instrument_index].is_synchronised)
        return self.seen % self.every == 0
"""

TRIGGER = """
from reactor.collector.triggers.trigger import EVERY, Binding, Trigger, set_leg
from reactor.domain.messages import EventKind, OrderType, ResponseKind, Side, SignalType, TimeInForce

class BuyOnce(Trigger):
    \"\"\"One order for the signal of the user's own, one for the signal that comes from outside.\"\"\"

    name = "buy_once"
    rearm = EVERY

    def __init__(self, context, kind):
        self.index = context.instruments.by_name("binance_spot:BTCUSDT").instrument_index
        self.kind = kind
        self.is_waiting = False
        self.signal_id = self.fired_ns = 0

    def bindings(self):
        return (
            Binding(SignalType.USER + self.kind, self.index, age_ms_max=5000),
            Binding(SignalType.BOOK_TOP, self.index, age_ms_max=5000),
            Binding(SignalType.ORDER_RESPONSE, self.index, is_required=False),
        )

    def evaluate(self, signals, now_ns):
        answer = signals[2]  # Refused while the books are not compared yet: once more, later.
        if answer is not None and answer.header.signal_id == self.signal_id and answer.header.kind == ResponseKind.REFUSED:
            self.is_waiting = False
        if self.is_waiting or now_ns - self.fired_ns < 500_000_000:
            return 0
        self.fired_ns = now_ns
        return 1

    def write(self, event, signals):
        self.is_waiting = True
        self.signal_id = event.header.signal_id
        event.header.kind = EventKind.ORDER
        set_leg(event, self.index)
        event.side = Side.BUY
        event.order_type = OrderType.LIMIT
        event.time_in_force = TimeInForce.IOC
        event.quantity_lots = 200
        event.price_ticks = signals[1].ask_ticks + 100
"""

CONFIG = """
exchanges: {binance: {simulated: {base_url: "http://127.0.0.1:%(port)d"}}}
risk_control: {cooldown_s: 0.0, signal_age_ms_max: 5000.0}
strategy:
  pairs: [{open: "binance_spot:BTCUSDT", hedge: "binance_usdm:BTCUSDT"}]
  signals:
    book_top_instruments: ["binance_spot:BTCUSDT"]
    user: [{file: pulse.py, class_name: Pulse, instrument: "binance_spot:BTCUSDT", parameters: {every: 20}}]
  triggers:
    names: [hedge, mt_close]
    users:
      - {file: buy_once.py, class_name: BuyOnce, parameters: {kind: 0}}
      - {file: buy_once.py, class_name: BuyOnce, parameters: {kind: 1}}
  external:
    zeromq: [{address: "ipc://%(directory)s/signals"}]
    token_variable: SIGNAL_TOKEN
system: {order_id_prefix: uu, duration_s: 0, directory: "%(directory)s/runs"}
"""

SENDER = """
import sys, time
from reactor.collector.external import SignalProducer
from reactor.domain.messages import SignalType

address, token = sys.argv[1], sys.argv[2].encode()
with SignalProducer.to_zeromq(address, producer=7, token=token) as signals:
    for _ in range(50):
        signals.send(SignalType.USER + 1, [1.0], name="binance_spot:BTCUSDT")
        time.sleep(0.1)
"""

LISTENER = """
import os, sys, time
from reactor.feed.publish import TOPIC_NAME
from shm.segment import Memory
from shm.topic import TopicSubscriber

memory = Memory(sys.argv[1], f"listener/{os.getpid()}")
topic = TopicSubscriber(memory, TOPIC_NAME)
topic.want(sys.argv[2])
seen = {}
deadline = time.monotonic() + 25
while time.monotonic() < deadline and seen.get(sys.argv[2], 0) < 20:
    for message in topic.take():
        seen[message.key] = seen.get(message.key, 0) + 1
    time.sleep(0.005)
topic.close()
memory.close()
print(seen)
"""


def run_python(house, code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, env=house.environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_signal_and_a_trigger_of_the_users_own_trade_and_so_does_a_sender_who_knows_the_token(
    make_house: Callable, exchange, tmp_path
):
    (tmp_path / "pulse.py").write_text(SIGNAL)
    (tmp_path / "buy_once.py").write_text(TRIGGER)
    config = CONFIG % {"port": exchange.port, "directory": tmp_path}
    house = make_house("own", config=config, environment={**SHARED, "SIGNAL_TOKEN": "between-us"})
    house.wait_for(lambda: house.status("fills") == 1, "the user's signal made the user's trigger order")
    run_python(house, SENDER, f"ipc://{tmp_path}/signals", "somebody-else")
    run_python(house, SENDER, f"ipc://{tmp_path}/signals", "between-us")
    house.wait_for(lambda: house.status("fills") == 2, "the signal from outside made the second one order")
    house.pids()
    for pid in house.seen:
        with open(f"/proc/{pid}/cmdline", "rb") as line, open(f"/proc/{pid}/environ", "rb") as environment:
            assert b"between-us" not in line.read() + environment.read(), "no child shows the token"
    assert house.end() == 0, house.words()
    report = house.report()
    assert report["orders"] == 2
    assert report["positions_and_balances_equal"] is True, report["comparisons"]
    assert report["counters"]["collector"]["external_refused"] >= 1, "who does not know the token is not heard"
    log = house.log()
    assert "between-us" not in log
    assert '"reason": "bad_token"' in log


def test_a_listener_of_the_market_topic_gets_the_symbols_that_it_asks_for(make_house: Callable):
    house = make_house(environment=SHARED)
    house.wait_until_trading(processes=2)
    wanted = "binance_spot:ETHUSDT"
    seen = run_python(house, LISTENER, house.name, wanted)
    counts = json.loads(seen.replace("'", '"'))
    assert counts[wanted] >= 20, "nobody trades it; the feed subscribed because somebody asked"
    assert counts["binance_spot:BTCUSDT"] > 0
    assert house.end() == 0, house.words()
