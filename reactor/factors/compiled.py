"""Teaches Numba the kernels: after `import reactor.factors.compiled` compiled code calls our C where it names a kernel.

Only the backtest imports this: Numba is slow to load and no part of a hot role.
"""

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

from numba.core.typing import cffi_utils
from numba.extending import overload

from reactor import _native
from reactor.factors import kernels

# Parameters that are arrays; all others travel as they are.
_ARRAYS = frozenset(
    {
        "asked", "combined", "maxs", "means", "mids", "mins", "samples", "signed_quantities", "state", "stds", "sums", "times",
        "values", "verdicts", "weights", "zscores",
    }
)  # fmt: skip
_NOT_KERNELS = frozenset({"state", "integers", "integer_rows", "array_of", "doubles_of", "times_of"})


def kernel_functions() -> dict[str, FunctionType]:
    """Every kernel by name."""
    found = {name: each for name, each in vars(kernels).items() if isinstance(each, FunctionType)}
    return {name: each for name, each in found.items() if each.__module__ == kernels.__name__ and name not in _NOT_KERNELS}


def _teach(function: FunctionType) -> None:
    """Compiled calls of `function` go to the C function of its name, with pointers for its arrays."""
    names = list(inspect.signature(function).parameters)
    head = ", ".join(names)
    given = ", ".join(f"{name}.ctypes" if name in _ARRAYS else name for name in names)
    inner: Callable[..., Any] = eval(f"lambda {head}: call({given})", {"call": getattr(_native.lib, function.__name__)})
    outer: Callable[..., Any] = eval(f"lambda {head}: inner", {"inner": inner})
    overload(function)(outer)


_register: Any = cffi_utils.register_module  # Untyped where numba is installed, unknown where it is not.
_register(_native)
for _function in kernel_functions().values():
    _teach(_function)
