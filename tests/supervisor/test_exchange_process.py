"""What the simulated exchange says stands in the session's log; what is wrong stands in the report too."""

import asyncio
import gzip
import json
import os
import time
from pathlib import Path

import pytest

from reactor.config.system import SimulatedParameters
from reactor.domain.errors import ConfigError
from reactor.supervisor.exchange_process import ExchangeProcess
from reactor.supervisor.log_file import LogFile
from reactor.supervisor.processes import Processes

FRAME = (
    '{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":%d,"s":"BTCUSDT","b":"100.10",'
    '"B":"1.000","a":"100.20","A":"2.000","T":1700000000000,"E":1700000000001}}'
)


def test_a_truncated_capture_is_told_in_the_log_and_in_the_report(tmp_path: Path):
    lines = "".join(f"{1_700_000_000_000_000_000 + number} {FRAME % number}\n" for number in range(5000))
    capture = tmp_path / "btcusdt_20231114.gz"
    capture.write_bytes(gzip.compress(lines.encode())[:-2000])
    processes = Processes(tmp_path)
    log = LogFile(tmp_path / "log.jsonl", 1 << 20, None)
    exchange = ExchangeProcess(processes, tmp_path, log)
    parameters = SimulatedParameters(source="replay", replay_paths=(str(capture),), speed=1000.0)
    try:
        port = asyncio.run(exchange.start(parameters, os.environ, {}))
        assert port > 0
        deadline = time.monotonic() + 30
        while not exchange.notices:
            assert time.monotonic() < deadline
            time.sleep(0.01)
            exchange.drain()
    finally:
        processes.kill_all()
        exchange.close()
        log.close()
    assert f"{capture}:" in exchange.notices[0]
    assert "damaged from here on" in exchange.notices[0]
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["role"] for row in records if "damaged from here on" in row["text"] and row["level"] == "warning"] == ["sim"]
    assert any("replaying" in row["text"] and row["level"] == "info" for row in records)


def test_an_exchange_that_cannot_start_says_why_in_one_sentence(tmp_path: Path):
    log = LogFile(tmp_path / "log.jsonl", 1 << 20, None)
    exchange = ExchangeProcess(Processes(tmp_path), tmp_path, log)
    parameters = SimulatedParameters(source="replay", replay_paths=(str(tmp_path / "nothing"),))
    with pytest.raises(ConfigError, match="nothing") as caught:
        asyncio.run(exchange.start(parameters, os.environ, {}))
    assert "Traceback" not in str(caught.value)
    exchange.close()
    log.close()
