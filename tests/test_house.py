"""The drawing of the house, kept honest: who may import whom (read from the source; only what a hot process loads is tried).

An import points only to the left, or to an earlier name of the same group; names joined by `|` never meet.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS_ROOT = ROOT / "reactor"

DRAWING = """
    compiled → shm → domain → market → exchanges | factors strategies → loop net journal
        → feed | collector | prepost | engine | live_bot
        → config → rehearsal wiring → data | monitor → supervisor → sim → backtest → cli
"""

# In a room only these touch the world; every other file there is a core.
WORLD_FILES = {"role", "external", "publish", "connections"}
CORE_FLOORS = {"domain", "market", "exchanges", "factors", "strategies"}
ROOMS = {"feed", "collector", "prepost", "engine", "live_bot"}
WORLD_MODULES = {"asyncio", "socket", "time", "random", "os", "zmq", "iceoryx2", "uvloop", "aiohttp", "websockets", "picows"}
HEAVY_MODULES = {"pydantic", "pydantic_settings", "typer", "rich", "watchfiles", "prometheus_client"}
HEAVY_PACKAGES = HEAVY_MODULES | {"numpy", "cryptography", "flatbuffers"}  # by way of others, too
HEAVY_FOR_A_SUPERVISOR = {"numpy", "flatbuffers", "cryptography", "rich", "prometheus_client", "aiohttp.web"}
HEAVY_FOR_A_SUPERVISOR |= {"reactor.sim.server", "reactor.feed.role", "reactor.prepost.role"}
FORBIDDEN_STEMS = {"utils", "helpers", "common", "manager"}
# The Python faces of our C: who else touches a _native or _lanes module has bypassed its face.
NATIVE_FACES = {
    "shm": {"shm"},
    "reactor": {"domain", "market", "factors", "exchanges", "loop", "net", "data", "live_bot"},
}


def parse_drawing(text: str) -> tuple[dict[str, tuple[int, int, int]], list[str]]:
    """Every name's place: (group, side of the bar, position on that side)."""
    places: dict[str, tuple[int, int, int]] = {}
    order: list[str] = []
    for group, part in enumerate(text.replace("\n", " ").split("→")):
        for side, names in enumerate(part.split("|")):
            for position, name in enumerate(names.split()):
                places[name] = (group, side, position)
                order.append(name)
    return places, order


PLACES, ORDER = parse_drawing(DRAWING)


def may_import(importer: str, imported: str) -> bool:
    """The rule of the drawing."""
    if importer == imported:
        return True
    group, side, position = PLACES[importer]
    other_group, other_side, other_position = PLACES[imported]
    if group != other_group:
        return other_group < group
    return side == other_side and other_position < position


def sources() -> list[Path]:
    return [path for folder in (ROOT / "shm", ROOMS_ROOT) for path in sorted(folder.rglob("*.py"))]


def place_of(path: Path) -> str | None:
    """The name in the drawing that owns the file; None for the floor plan itself (reactor/__init__.py)."""
    parts = path.relative_to(ROOT).parts
    if parts[0] == "shm":
        return "shm"
    name = parts[1].removesuffix(".py")
    return {"__init__": None, "__main__": "cli"}.get(name, name)


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """(line, module) of every import in the file, also those inside functions; not those for type checkers only."""
    tree = ast.parse(path.read_text(), str(path))
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import; write the whole name"
            yield node.lineno, node.module or ""
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def imported_place(module: str) -> str | None:
    parts = module.split(".")
    if parts[0] == "shm":
        return "shm"
    if parts[0] == "reactor" and len(parts) > 1 and parts[1] in PLACES:
        return parts[1]
    return None


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_drawing_names_every_part_of_the_house_and_nothing_else():
    present = {path.name.removesuffix(".py") for path in ROOMS_ROOT.iterdir() if path.suffix == ".py" or path.is_dir()}
    present -= {"__init__", "__main__", "__pycache__"}
    present = {name for name in present if not name.startswith((".", "_"))}
    assert present <= set(ORDER), f"not in the drawing: {sorted(present - set(ORDER))}"


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("feed", "collector", False),
        ("feed", "exchanges", True),
        ("exchanges", "factors", False),
        ("strategies", "factors", True),
        ("factors", "strategies", False),
        ("net", "loop", True),
        ("loop", "net", False),
        ("engine", "config", False),
        ("supervisor", "monitor", True),
        ("supervisor", "sim", False),
    ],
)
def test_the_rule_itself(importer: str, imported: str, allowed: bool):
    assert may_import(importer, imported) is allowed


def test_an_import_points_only_to_the_left():
    crossed = []
    for path in sources():
        importer = place_of(path)
        if importer is None:
            continue
        for line, module in imports_of(path):
            imported = imported_place(module)
            if imported is not None and not may_import(importer, imported):
                crossed.append(f"{relative(path)}:{line}: {importer} may not know {imported}")
    assert not crossed, "\n".join(sorted(set(crossed)))


def test_cores_import_nothing_of_the_world():
    touched = []
    for path in sources():
        place = place_of(path)
        is_core = place in CORE_FLOORS or (place in ROOMS and path.stem not in WORLD_FILES)
        if not is_core:
            continue
        for line, module in imports_of(path):
            if module.split(".")[0] in WORLD_MODULES:
                touched.append(f"{relative(path)}:{line}: a core imports {module}")
    assert not touched, "\n".join(sorted(set(touched)))


def test_a_hot_role_imports_nothing_heavy():
    left_of_config = {name for name in ORDER if PLACES[name][0] < PLACES["config"][0]} | {"wiring"}
    heavy = [
        f"{relative(path)}:{line}: {module}"
        for path in sources()
        if place_of(path) in left_of_config
        for line, module in imports_of(path)
        if module.split(".")[0] in HEAVY_MODULES
    ]
    assert not heavy, "\n".join(heavy)


@pytest.mark.parametrize(
    "modules",
    [
        "reactor.feed.role, reactor.net.session, shm.topic",
        "reactor.collector.role, reactor.collector.external, reactor.rehearsal",
        "reactor.prepost.role, reactor.journal.history, reactor.rehearsal",
        "reactor.engine.role, reactor.net.session, reactor.rehearsal",
    ],
)
def test_a_hot_roles_process_is_not_made_heavy_by_what_it_never_uses(modules: str):
    program = f"import sys, reactor.wiring, {modules}; from shm.segment import _import_iceoryx2; _import_iceoryx2()"
    assert loaded_by(program, HEAVY_PACKAGES) == []


def test_a_plain_sessions_supervisor_is_not_made_heavy_by_what_it_never_uses():
    program = f"""
import sys, reactor.cli, reactor.supervisor.session
from reactor.config.load import load
from reactor.monitor.reader import counter_names
from shm.segment import _import_iceoryx2
_import_iceoryx2()
reactor.cli._check_simulated(load("generated", None, {{}}))
for kind in {sorted(ROOMS | {"journal"})}: counter_names(kind)
"""
    assert loaded_by(program, HEAVY_FOR_A_SUPERVISOR) == []


def test_the_simulated_exchange_has_no_cryptography_in_memory_before_a_client_signs_with_it():
    program = """
import sys, reactor.sim.__main__
from reactor.loop.log import NullLog
from reactor.sim.parameters import SimParameters
from reactor.sim.server import SimServer
SimServer(SimParameters(), NullLog())
"""
    assert loaded_by(program, HEAVY_PACKAGES - {"pydantic"}) == []


def loaded_by(program: str, names: set[str]) -> list[str]:
    """Which of these modules are in memory after the program, which imports sys."""
    program += f"\nprint(*[name for name in {sorted(names)} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return found.stdout.split()


def test_a_native_module_is_touched_only_by_its_faces():
    touched = []
    for path in sources():
        place = place_of(path)
        for line, module in imports_of(path):
            parts = module.split(".")
            if len(parts) >= 2 and parts[1] in ("_native", "_lanes") and place not in NATIVE_FACES[parts[0]]:
                touched.append(f"{relative(path)}:{line}: {module}")
    assert not touched, "\n".join(sorted(set(touched)))


def test_no_file_waits_for_its_name():
    assert not [relative(path) for path in sources() if path.stem in FORBIDDEN_STEMS]


def test_every_file_says_what_it_is():
    silent = [relative(path) for path in sources() if ast.get_docstring(ast.parse(path.read_text())) is None]
    assert not silent, f"no docstring at the top: {silent}"
