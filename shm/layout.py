"""Turns a C struct, as cffi parsed it from its header, into a numpy dtype, a `struct` format, an IntEnum or a slot view.

Nobody else in the house types an offset, an enum value or a flag. numpy is imported by who asks for a dtype: a hot role looks
at one message at a time, and does without its 12 MB.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from shm._lanes import Form as Form

if TYPE_CHECKING:
    import numpy as np

_INTEGERS = {"int8_t": "<i1", "uint8_t": "<u1", "int16_t": "<i2", "uint16_t": "<u2", "int32_t": "<i4", "uint32_t": "<u4",
             "int64_t": "<i8", "uint64_t": "<u8", "double": "<f8", "float": "<f4", "char": "S1"}  # fmt: skip

_PACKED = {"int8_t": "b", "uint8_t": "B", "int16_t": "h", "uint16_t": "H", "int32_t": "i", "uint32_t": "I", "int64_t": "q",
           "uint64_t": "Q", "double": "d", "float": "f", "char": "1s"}  # fmt: skip
_PATH = re.compile(r"([a-z0-9_]+)(?:\[(\d+)(?::(\d+))?\])?")


def dtype_of(ffi: Any, struct_name: str) -> np.dtype[Any]:
    """The numpy dtype of a C struct: same offsets, same size; `char name[n]` becomes `S{n}`."""
    return _dtype(ffi.typeof(struct_name), ffi)


def _dtype(ctype: Any, ffi: Any) -> np.dtype[Any]:
    import numpy as np

    if ctype.kind == "primitive":
        return np.dtype(_INTEGERS[ctype.cname])
    if ctype.kind == "array":
        if ctype.item.cname == "char":
            return np.dtype(f"S{ctype.length}")
        return np.dtype((_dtype(ctype.item, ffi), (ctype.length,)))
    if ctype.kind == "struct":
        fields = ctype.fields
        return np.dtype(
            {
                "names": [name for name, _ in fields],
                "formats": [_dtype(field.type, ffi) for _, field in fields],
                "offsets": [field.offset for _, field in fields],
                "itemsize": ffi.sizeof(ctype),
            }
        )
    raise TypeError(f"{ctype.cname}: a layout holds integers, doubles, char arrays and structs of these only")


def format_of(ffi: Any, struct_name: str, fields: Sequence[str], is_signed: bool = False) -> tuple[str, tuple[str, ...]]:
    """The `struct` format that reads or writes some fields of a layout in one go, and the fields in the order it has them.

    A field is a path: `header.kind`, `values[3]`, `asset`. `values[0:3]` are three numbers as the bytes that they are, to be
    carried on and not looked at. Their order is that of memory. What is not named is skipped when reading and zeroed when
    writing. `is_signed`: 64-bit numbers come out signed, as databases keep them.
    """
    places = sorted((_place(ffi, ffi.typeof(struct_name), path), path) for path in fields)
    text, at, total = "<", 0, size_of(ffi, struct_name)
    for (offset, size, code), _ in places:
        assert offset >= at, "a field is named once"
        text += f"{offset - at}x" * (offset > at) + ("q" if is_signed and code == "Q" else code)
        at = offset + size
    text += f"{total - at}x" * (total > at)
    return text, tuple(path for _, path in places)


def places_of(ffi: Any, struct_name: str, fields: Sequence[str]) -> tuple[tuple[str, int, int], ...]:
    """(code, offset, size) of some fields of a layout, as a Form takes them. Paths as above, in any order."""
    places = [_place(ffi, ffi.typeof(struct_name), path) for path in fields]
    return tuple(("s" if code.endswith("s") else code, offset, size) for offset, size, code in places)


def _place(ffi: Any, ctype: Any, path: str) -> tuple[int, int, str]:
    """(offset, size, format code) of one field."""
    offset = 0
    for step in path.split("."):
        match = _PATH.fullmatch(step)
        assert match is not None, f"{path!r} is no path of names and [numbers]"
        assert ctype.kind == "struct", f"{path!r} looks for a field in a number"
        field = dict(ctype.fields)[match[1]]
        ctype, offset = field.type, offset + field.offset
        if match[2] is not None:
            assert ctype.kind == "array", f"{match[1]} is no array"
            ctype = ctype.item
            offset += int(match[2]) * int(ffi.sizeof(ctype))
        if match[3] is not None:
            size = (int(match[3]) - int(match[2])) * int(ffi.sizeof(ctype))
            return offset, size, f"{size}s"
    size = int(ffi.sizeof(ctype))
    return offset, size, f"{size}s" if ctype.kind == "array" else _PACKED[ctype.cname]


def enum_of(ffi: Any, enum_name: str, prefix: str) -> type[IntEnum]:
    """The IntEnum of a C enum, without the C prefix: `enum_of(ffi, "side_e", "SIDE_")` has members BUY and SELL."""
    members = {name.removeprefix(prefix): value for value, name in ffi.typeof(enum_name).elements.items()}
    made = IntEnum(enum_name.removesuffix("_e"), sorted(members.items(), key=lambda member: member[1]))  # type: ignore[misc]
    setattr(made, "__reduce_ex__", _as_number)  # noqa: B010 -- a method of an enum that mypy cannot see made
    return made


def _as_number(self: Any, protocol: Any) -> tuple[Any, ...]:
    """Pickled, a member is the number that it is: the other side makes its own enum from the same header."""
    return int, (int(self),)


def size_of(ffi: Any, struct_name: str) -> int:
    """Bytes of the struct."""
    return int(ffi.sizeof(struct_name))


def view_maker(ffi: Any, struct_name: str) -> Callable[[int], Any]:
    """A function from an address to the cffi pointer `struct_name *`: made once per slot, at start."""
    pointer = ffi.typeof(f"{struct_name} *")
    return lambda address: ffi.cast(pointer, address)
