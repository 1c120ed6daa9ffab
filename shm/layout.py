"""Turns a C struct, as cffi parsed it from its header, into a numpy dtype, an IntEnum or a slot view.

Nobody else in the house types an offset, an enum value or a flag.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any

import numpy as np

_INTEGERS = {"int8_t": "<i1", "uint8_t": "<u1", "int16_t": "<i2", "uint16_t": "<u2", "int32_t": "<i4", "uint32_t": "<u4",
             "int64_t": "<i8", "uint64_t": "<u8", "double": "<f8", "float": "<f4", "char": "S1"}  # fmt: skip


def dtype_of(ffi: Any, struct_name: str) -> np.dtype[Any]:
    """The numpy dtype of a C struct: same offsets, same size; `char name[n]` becomes `S{n}`."""
    return _dtype(ffi.typeof(struct_name), ffi)


def _dtype(ctype: Any, ffi: Any) -> np.dtype[Any]:
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
