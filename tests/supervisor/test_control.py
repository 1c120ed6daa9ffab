"""The control socket answers every request with one line, whatever was asked."""

import asyncio
import json
import threading
from pathlib import Path

import pytest

from reactor.domain.errors import ConfigError, TradeError
from reactor.supervisor.control import ControlServer, ask, find_instance


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A server for the instance "alpha" on a thread of its own."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    directory = tmp_path / "crypto_trade" / "alpha"
    directory.mkdir(parents=True)
    (tmp_path / "crypto_trade").chmod(0o700)
    opened, ended = threading.Event(), threading.Event()

    async def handle(request: dict) -> dict:
        if request.get("command") == "reload":
            raise ConfigError(["one", "two"])
        return {"ok": True, "text": str(request.get("command"))}

    async def serve() -> None:
        server = ControlServer(directory / "control", handle)
        await server.open()
        opened.set()
        while not ended.is_set():
            await asyncio.sleep(0.005)
        await server.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    opened.wait(5)
    yield directory
    ended.set()
    thread.join(5)


def test_a_request_is_answered(served: Path):
    assert ask("alpha", {"command": "status"}, 5) == {"ok": True, "text": "status"}


def test_a_refusal_is_an_answer_too(served: Path):
    assert ask("alpha", {"command": "reload"}, 5) == {"ok": False, "text": "one\ntwo"}


def test_only_the_owner_may_speak(served: Path):
    assert (served / "control").stat().st_mode & 0o077 == 0


def test_the_only_instance_is_meant_when_none_is_named(served: Path):
    assert find_instance(None) == "alpha"
    assert find_instance("beta") == "beta"


def test_an_instance_that_does_not_run_is_one_sentence(served: Path):
    with pytest.raises(TradeError, match="'beta' is not running"):
        ask("beta", {"command": "status"}, 1)


def test_rubbish_is_refused(served: Path):
    import socket

    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(served / "control"))
        connection.sendall(b"[1,\n")
        assert json.loads(connection.recv(1000))["ok"] is False
