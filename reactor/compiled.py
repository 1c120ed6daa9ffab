"""Which form of a hot module runs: the compiled one if it was made from exactly these files, the file itself otherwise.

`cffi_build/hot.py` compiles the modules between a tick and an order and writes down the digest of each source. All of them
are used or none: compiled modules call each other without Python in between.

    CRYPTO_TRADE_INTERPRETED=1   never use the compiled form (a debugger, a profile without --native)
"""

import importlib.machinery
import importlib.util
import json
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
HOT: Final = ROOT / "build" / "hot"
SUFFIX: Final = importlib.machinery.EXTENSION_SUFFIXES[0]

INTERPRETED: Final = "interpreted"
COMPILED: Final = "compiled"


class _Finder:
    """Finds the hot modules where they were compiled to. Its base would be MetaPathFinder: 10 ms of imports in every start."""

    def __init__(self, folder: Path, modules: Mapping[str, str]) -> None:
        self._folder = folder
        self._modules = modules

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """See importlib.abc.MetaPathFinder."""
        if fullname not in self._modules and fullname != "crypto_trade__mypyc":
            return None
        file = self._folder / (fullname.replace(".", "/") + SUFFIX)
        return importlib.util.spec_from_file_location(fullname, file)


def state(root: Path = ROOT, folder: Path = HOT) -> tuple[str, str, Mapping[str, str]]:
    """(COMPILED or INTERPRETED, why, digests by module)."""
    if os.environ.get("CRYPTO_TRADE_INTERPRETED"):
        return INTERPRETED, "CRYPTO_TRADE_INTERPRETED is set", {}
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
    except (OSError, ValueError):
        return INTERPRETED, "not compiled; `make hot` does it", {}
    if manifest["python"] != sys.implementation.cache_tag:
        return INTERPRETED, f"compiled for {manifest['python']}; `make hot` compiles for this Python", {}
    import hashlib  # Brings OpenSSL, 4 MB of it: only where something was compiled.

    modules: Mapping[str, str] = manifest["modules"]
    for name, digest in modules.items():
        try:
            source = (root / (name.replace(".", "/") + ".py")).read_bytes()
        except OSError:
            source = b""
        if hashlib.sha256(source).hexdigest() != digest:
            return INTERPRETED, f"{name} was edited since it was compiled; `make hot` compiles it again", {}
    return COMPILED, f"{len(modules)} modules", modules


def use() -> None:
    """Puts the compiled modules in front, if they are what the files say."""
    form, _, modules = state()
    if form == COMPILED:
        sys.meta_path.insert(0, _Finder(HOT, modules))
