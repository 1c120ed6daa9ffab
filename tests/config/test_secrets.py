"""Keys come from the environment or a private file, and reach the engine through a descriptor."""

import os
from pathlib import Path

import pytest

from reactor.config.secrets import hand_over, read_credentials, take_over
from reactor.domain.errors import ConfigError
from reactor.exchanges.venue import Credentials


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


def test_a_key_travels_through_a_descriptor_and_is_gone_afterwards():
    fd = hand_over(Credentials("public", "hidden", "phrase"))
    key = take_over(fd)
    assert (key.api_key, key.secret, key.passphrase) == ("public", "hidden", "phrase")
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.read(fd, 1)
