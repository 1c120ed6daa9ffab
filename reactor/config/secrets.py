"""Where keys come from, and how they reach the engine without touching a disk or a command line.

A key is read from two environment variables or from a file of mode 0600. It travels to the engine as JSON in an anonymous
memory file (memfd) whose descriptor only the engine inherits; the engine reads it once and closes it.
"""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from reactor.domain.errors import ConfigError
from reactor.exchanges.venue import Credentials

SIMULATED_KEY = Credentials("test-key", "test-secret")  # The simulated exchange's own account: no secret.


def read_credentials(environment: Mapping[str, str], api_key_variable: str, secret_variable: str, file: str) -> Credentials:
    """The key of one exchange.

    Raises:
        ConfigError: it is nowhere, or its file may be read by others.
    """
    if file:
        return _from_file(Path(file).expanduser())
    api_key, secret = environment.get(api_key_variable, ""), environment.get(secret_variable, "")
    missing = [name for name, value in ((api_key_variable, api_key), (secret_variable, secret)) if not value]
    if missing:
        raise ConfigError(
            f"no API key: set the environment variable{'s' if len(missing) > 1 else ''} {' and '.join(missing)}, "
            "or name a file of mode 0600 in exchanges.binance.credentials.file"
        )
    return Credentials(api_key, secret.replace("\\n", "\n"))


def _from_file(path: Path) -> Credentials:
    import yaml  # Here, because the engine imports this module too and needs no YAML.

    try:
        mode = path.stat().st_mode
        text = path.read_text()
    except OSError as error:
        raise ConfigError(f"credentials file {path}: {error.strerror}") from None
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(f"credentials file {path} may be read by others; run: chmod 600 {path}")
    try:
        rows = yaml.safe_load(text)
        return Credentials(str(rows["api_key"]), str(rows["secret"]), str(rows.get("passphrase", "")))
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        raise ConfigError(f"credentials file {path}: write two lines, api_key: … and secret: …") from None


def hand_over(credentials: Credentials) -> int:
    """A descriptor to inherit, holding the key. Close our copy after the child has started."""
    fd = os.memfd_create("credentials", os.MFD_CLOEXEC)
    os.write(fd, json.dumps([credentials.api_key, credentials.secret, credentials.passphrase]).encode())
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def take_over(fd: int) -> Credentials:
    """The other end of `hand_over`: reads the key and closes the descriptor."""
    with os.fdopen(fd, "rb") as file:
        api_key, secret, passphrase = json.loads(file.read())
    return Credentials(api_key, secret, passphrase)
