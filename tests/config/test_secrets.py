"""Keys come from the environment or a private file, and reach the engine through a descriptor."""

import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from reactor.config.secrets import Secrets, hand_over, read_credentials, read_token, take_over
from reactor.domain.errors import ConfigError
from reactor.exchanges.venue import Credentials


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, tuple[int, int]]]:
    """What was asked of the kernel; the test's own process keeps its limits."""
    asked: list[tuple[int, tuple[int, int]]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda kind, values: asked.append((kind, values)))
    return asked


def test_a_key_is_read_from_the_environment():
    key = read_credentials({"A": "public", "B": "hidden"}, "A", "B", "")
    assert (key.api_key, key.secret) == ("public", "hidden")


def test_a_missing_key_names_the_variables_to_set():
    with pytest.raises(ConfigError, match="A and B"):
        read_credentials({}, "A", "B", "")


def test_a_file_that_others_may_read_is_refused_with_the_remedy(tmp_path: Path):
    path = tmp_path / "key"
    path.write_text("api_key: public\nsecret: hidden\n")
    path.chmod(0o644)
    with pytest.raises(ConfigError, match=f"chmod 600 {path}"):
        read_credentials({}, "A", "B", str(path))
    path.chmod(0o600)
    assert read_credentials({}, "A", "B", str(path)).secret == "hidden"


def test_a_damaged_file_is_one_sentence_without_its_content(tmp_path: Path):
    path = tmp_path / "key"
    path.write_text("hidden")
    path.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        read_credentials({}, "A", "B", str(path))
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "read",
    [lambda: read_credentials({"A": "a", "B": "b"}, "A", "B", ""), lambda: take_over(hand_over(Secrets()))],
    ids=["supervisor", "child"],
)
def test_who_holds_a_secret_leaves_no_core_dump(limits: list[tuple[int, tuple[int, int]]], read: Callable[[], object]):
    read()
    assert limits == [(resource.RLIMIT_CORE, (0, 0))]


def test_a_key_travels_through_a_descriptor_and_is_gone_afterwards():
    fd = hand_over(Secrets(Credentials("public", "hidden", "phrase")))
    key = take_over(fd).credentials
    assert key is not None
    assert (key.api_key, key.secret, key.passphrase) == ("public", "hidden", "phrase")
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.read(fd, 1)


def test_the_token_of_external_signals_is_read_from_the_environment_or_a_private_file(tmp_path: Path):
    assert read_token({}, "", "") == b""
    assert read_token({"T": "secret-1"}, "T", "") == b"secret-1"
    path = tmp_path / "token"
    path.write_text("secret-2\n")
    path.chmod(0o600)
    assert read_token({}, "", str(path)) == b"secret-2"


def test_a_token_that_is_missing_public_or_too_long_is_refused_without_being_told(tmp_path: Path):
    path = tmp_path / "token"
    path.write_text("x" * 17)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match=f"chmod 600 {path}"):
        read_token({}, "", str(path))
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="1 to 16 ASCII") as caught:
        read_token({}, "", str(path))
    assert "xxx" not in str(caught.value)
    with pytest.raises(ConfigError, match="T is not set"):
        read_token({}, "T", "")


def test_a_process_gets_only_the_secret_that_it_needs():
    assert take_over(hand_over(Secrets(external_token=b"token"))) == Secrets(None, b"token")
