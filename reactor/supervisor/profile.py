"""`crypto-trade profile`: py-spy beside running roles, which go on meanwhile."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from reactor.domain.errors import ConfigError
from reactor.supervisor.instance import instances, run_directory

SUFFIXES: Final = {"svg": ("flamegraph", "svg"), "speedscope": ("speedscope", "json"), "raw": ("raw", "txt")}
REMEDY: Final = "Run it as root, or allow it: sysctl kernel.yama.ptrace_scope=0; in a container add --cap-add SYS_PTRACE."


def pids_of(roles: Sequence[str], table: Sequence[tuple[str, int]]) -> dict[str, int]:
    """Process name → pid for the roles asked for, each process once. `table` names processes, whose roles are joined by +.

    Raises:
        ConfigError: nobody of that name runs.
    """
    found: dict[str, int] = {}
    for role in roles:
        names = [(name, pid) for name, pid in table if role == name or role in name.split("+")]
        if not names:
            known = sorted({each for name, _ in table for each in name.split("+")})
            raise ConfigError(f"no role {role!r} runs here; these do: {', '.join(known)}")
        found.update(names)
    return found


def profile(
    roles: Annotated[list[str], typer.Argument(help="Roles: feed-0, collector, prepost, engine, journal, sim.")],
    seconds: Annotated[int, typer.Option(help="How long.", min=1)] = 10,
    native: Annotated[bool, typer.Option(help="C frames too.")] = False,
    format_: Annotated[str, typer.Option("--format", help="svg, speedscope or raw.")] = "svg",
    directory: Annotated[Path, typer.Option(help="Where the files go.")] = Path("profiles"),
    instance: Annotated[str | None, typer.Option(help="Which instance on this host.")] = None,
) -> None:
    """Looks into running roles with py-spy for some seconds, without stopping them."""
    if format_ not in SUFFIXES:
        raise ConfigError(f"--format {format_}: write one of {', '.join(SUFFIXES)}")
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if program is None:
        raise ConfigError("py-spy is not installed: pip install py-spy")
    running = instances()
    name = instance or (running[0] if len(running) == 1 else "")
    if name not in running:
        raise ConfigError(f"which instance? running: {', '.join(running) or 'none'}")
    rows = json.loads((run_directory(name) / "pids").read_text())
    words, suffix = SUFFIXES[format_]
    stamp = time.strftime("%Y%m%dT%H%M%S")
    directory.mkdir(parents=True, exist_ok=True)
    watchers = []
    for process, pid in pids_of(roles, [(row[0], row[1]) for row in rows]).items():
        path = directory / f"{name}-{process}-{stamp}.{suffix}"
        arguments = [program, "record", "--nonblocking", "-p", str(pid), "-d", str(seconds), "-f", words, "-o", str(path)]
        if native:
            arguments.remove("--nonblocking")  # py-spy stops the process for microseconds to walk C frames.
            arguments.append("--native")
        watchers.append((path, subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)))
    failures = []
    for path, watcher in watchers:
        output, _ = watcher.communicate()
        if path.exists():
            typer.echo(str(path))
        else:
            failures.append(output.strip().splitlines()[-1] if output.strip() else f"py-spy ended with {watcher.returncode}")
    if failures:
        raise ConfigError(f"py-spy could not look: {'; '.join(failures)}. {REMEDY}")
