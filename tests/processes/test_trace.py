"""The life of a decision of a real session, read while it runs and after its end."""

import json
from collections.abc import Callable

import pytest

from reactor.journal.history import Reader
from reactor.journal.schema import journal_path

pytestmark = pytest.mark.processes

WAY = ["tick", "signal", "event", "command", "sent", "ack"]


def test_a_decision_is_traced_from_the_tick_to_its_hedge_while_it_runs_and_after(make_house: Callable):
    house = make_house()
    journal = journal_path(house.directory / "runs", house.name)
    house.wait_until_trading()

    def hedged() -> list:
        with Reader(journal) as reader:
            query = "SELECT * FROM orders WHERE leg = 2 AND signal_id <> 0 AND state_to = 'filled' AND receive_ns > 0"
            return list(reader.rows(query))

    house.wait_for(hedged, "a hedge is filled")
    hedge = hedged()[0]

    def traced(text: str) -> dict:
        done = house.command("trace", text, "--json", "--journal", str(journal))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    story = traced(hedge["client_order_id"])
    assert {order["leg"] for order in story["orders"]} == {"open", "hedge"}
    opened, hedged_by = story["orders"][0]["client_order_id"], hedge["client_order_id"]
    steps = {order: [step for step in story["steps"] if step["order"] == order] for order in (opened, hedged_by)}
    assert [step["stage"] for step in steps[opened]][: len(WAY)] == WAY
    assert [step["stage"] for step in steps[hedged_by]][: len(WAY)] == ["fill seen", *WAY[1:]]
    assert all(step["is_measured"] for order in steps.values() for step in order)
    assert steps[opened][0]["since_tick_ns"] == 0
    assert 0 < story["tick_to_sent_ns"] < story["tick_to_sent_ns"] + story["sent_to_ack_ns"]
    assert story["fill_to_hedge_sent_ns"] > 0
    assert "fill" in {step["stage"] for step in steps[hedged_by]}
    assert house.end() == 0, house.words()
    assert traced("last")["orders"]
    after = traced(str(hedge["order_id"]))
    assert after["orders"][0]["client_order_id"] == opened
    unknown = house.command("trace", "nobody", "--journal", str(journal))
    assert unknown.returncode == 2
    assert unknown.stderr.count("\n") == 1
