"""Where secrets come from, and how they reach the process that needs them without touching a disk or a command line.

A key is read from two environment variables or from a file of mode 0600, the token of external signals likewise. They travel
as JSON in an anonymous memory file (memfd) whose descriptor only the process of the engine (key) or of the collector (token)
inherits; it reads once and closes. Whoever holds a secret leaves no core dump.
"""

import json
import os
import resource
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reactor.domain.errors import ConfigError
from reactor.exchanges.venue import Credentials

SIMULATED_KEY = Credentials("test-key", "test-secret")  # The simulated exchange's own account: no secret.
TOKEN_BYTES_MAX = 16  # What a message from outside has room for (collector/external_message.py).


@dataclass(frozen=True)
class Secrets:
    """What one process may know."""

    credentials: Credentials | None = None  # for the engine
    external_token: bytes = b""  # for the collector


def forbid_core_dumps() -> None:
    """A process that dies leaves its memory nowhere; children inherit it. Profilers of the same user still look inside."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def read_credentials(environment: Mapping[str, str], api_key_variable: str, secret_variable: str, file: str) -> Credentials:
    """The key of one exchange.

    Raises:
        ConfigError: it is nowhere, or its file may be read by others.
    """
    forbid_core_dumps()
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

    text = _private_text(path, "credentials file")
    try:
        rows = yaml.safe_load(text)
        return Credentials(str(rows["api_key"]), str(rows["secret"]), str(rows.get("passphrase", "")))
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        raise ConfigError(f"credentials file {path}: write two lines, api_key: … and secret: …") from None


def _private_text(path: Path, what: str) -> str:
    """A file that nobody else may read."""
    try:
        mode = path.stat().st_mode
        text = path.read_text()
    except OSError as error:
        raise ConfigError(f"{what} {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{what} {path}: not a text file") from None
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(f"{what} {path} may be read by others; run: chmod 600 {path}")
    return text


def read_token(environment: Mapping[str, str], variable: str, file: str) -> bytes:
    """The token that messages from outside must carry; empty where none is configured.

    Raises:
        ConfigError: it is not where the config says, may be read by others, or does not fit a message.
    """
    if file:
        text, where = _private_text(Path(file).expanduser(), "token file").strip(), f"token file {file}"
    elif variable:
        text, where = environment.get(variable, "").strip(), f"strategy.external.token_variable: {variable}"
        if not text:
            raise ConfigError(f"{where} is not set in the environment; set it, or name a file in token_file")
    else:
        return b""
    token = text.encode()
    if not 0 < len(token) <= TOKEN_BYTES_MAX or not text.isascii():
        raise ConfigError(f"{where}: a token has 1 to {TOKEN_BYTES_MAX} ASCII characters")
    return token


def hand_over(secrets: Secrets) -> int:
    """A descriptor to inherit, holding the secrets. Close our copy after the child has started."""
    key = secrets.credentials
    row = [key.api_key, key.secret, key.passphrase] if key is not None else None
    fd = os.memfd_create("secrets", os.MFD_CLOEXEC)
    os.write(fd, json.dumps([row, secrets.external_token.decode("ascii")]).encode())
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def take_over(fd: int) -> Secrets:
    """The other end of `hand_over`: reads the secrets and closes the descriptor."""
    forbid_core_dumps()
    with os.fdopen(fd, "rb") as file:
        row, token = json.loads(file.read())
    return Secrets(Credentials(*row) if row is not None else None, token.encode("ascii"))
