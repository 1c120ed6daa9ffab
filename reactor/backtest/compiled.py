"""A kernel and the machine around it as one compiled function. It is the kernel that trades live: nothing is written twice.

What a kernel calls is compiled with it: our C kernels are called directly (factors/compiled.py), depth_lots is answered from
hftbacktest's book, other plain functions of its module (and of their modules) are compiled as they stand.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from types import BuiltinFunctionType, FunctionType
from typing import Any, Final, NamedTuple

from hftbacktest import binding, order
from numba import njit, typeof
from numba.core.errors import NumbaError
from numba.extending import overload, register_jitable

from reactor.backtest import machine
from reactor.backtest.machine import ASK, ASK_LOTS, BID, BID_LOTS, BOUGHT, MORE, NOW, POSITION, SOLD
from reactor.domain.errors import ConfigError
from reactor.factors import compiled as factors
from reactor.factors.imbalance import depth_lots
from reactor.factors.kernels import array_of, integer_rows
from reactor.strategies.strategy import WISHES_MAX, KernelStrategy, MarketView

STEPS_PER_CALL = 10_000  # About a second's work: then Python may hear Ctrl-C.
NUMBAS_OWN: Final = frozenset({"numba", "numpy", "math"})  # It knows their functions, or says that it does not.
INNER: Final[Any] = {
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}  # Called from compiled code only: a third less to compile.


class BookDepth(NamedTuple):
    """What a compiled kernel gets as `market.depth`."""

    levels: Any  # hftbacktest's ROIVectorMarketDepth
    lots_per_unit: float


def _lots_within(depth: Any, side: int, limit_ticks: int) -> int:
    """depth_lots on hftbacktest's book. The floats' sum is off by less than a millionth of a lot: rounding makes it exact."""
    lower = depth.levels.roi_lb_tick
    if side > 0:
        quantities, first, last = depth.levels.bid_depth, limit_ticks, depth.levels.best_bid_tick
    else:
        quantities, first, last = depth.levels.ask_depth, depth.levels.best_ask_tick, limit_ticks
    first, last = max(first - lower, 0), min(last - lower, len(quantities) - 1)
    lots: int = round(sum_between(quantities, first, last) * depth.lots_per_unit)
    return lots


def sum_between(quantities: Any, first: int, last: int) -> float:
    """The sum of quantities[first .. last]. Four sums side by side: one waits for the memory of the last."""
    a, b, c, d, place = 0.0, 0.0, 0.0, 0.0, first
    while place + 3 <= last:
        a += quantities[place]
        b += quantities[place + 1]
        c += quantities[place + 2]
        d += quantities[place + 3]
        place += 4
    while place <= last:
        a += quantities[place]
        place += 1
    return (a + b) + (c + d)


@overload(depth_lots)
def _depth_lots(depth: Any, side: int, limit_ticks: int) -> Callable[..., int] | None:
    if getattr(depth, "instance_class", None) is BookDepth:
        return _lots_within
    return None


def _spare_wrappers() -> None:
    """Tells Numba that hftbacktest's methods are called from compiled code only, as far as it lets itself be told."""
    classes = (
        binding.ROIVectorMarketDepthBacktest_, binding.ROIVectorMarketDepth_, binding.OrderDict_, binding.Values_, order.Order_,
    )  # fmt: skip
    for each in classes:
        of_class = getattr(each, "class_type", None)
        methods = list(getattr(of_class, "jit_methods", {}).values())
        methods += [method for accessors in getattr(of_class, "jit_props", {}).values() for method in accessors.values()]
        for method in methods:
            getattr(method, "targetoptions", {}).update(INNER)


_spare_wrappers()
_taught: set[Any] = {depth_lots, *factors.kernel_functions().values()}


def _register(function: Any) -> None:
    register_jitable(**INNER)(function)


def teach(function: Any) -> None:
    """Makes every plain function that `function` names callable from compiled code, and what those name, and so on."""
    for name in function.__code__.co_names:
        named = function.__globals__.get(name)
        if not isinstance(named, FunctionType) or named.__module__.partition(".")[0] in NUMBAS_OWN:
            continue
        if named not in _taught:
            _taught.add(named)
            teach(named)
            _register(named)


_register(sum_between)
_taught.add(sum_between)
for _each in (machine.wait, machine.look, machine.send, machine.finish, machine.start):
    teach(_each)
    if _each not in _taught:
        _taught.add(_each)
        _register(_each)

type_of: Any = typeof  # Untyped in numba.
step_start: Any = njit(machine.start)
step_wait: Any = njit(machine.wait)
step_look: Any = njit(machine.look)
step_send: Any = njit(machine.send)
step_trades: Any = njit(machine.tape)
step_sides: Any = njit(machine.sides)
step_finish: Any = njit(machine.finish)
# From the interpreter only these: a method of hftbacktest's class that is called from Python costs seconds of compiling.
step_states: Any = njit(machine.states)
step_now: Any = njit(machine.now)
step_close: Any = njit(machine.close)


def warm_steps(hbt: Any, m: machine.Machine) -> None:
    """Compiles the first and the last step."""
    step_start.compile((type_of(hbt), type_of(m), type_of(0)))
    step_finish.compile((type_of(hbt), type_of(m)))


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """A Ctrl-C that arrives in one of the compiler's callbacks is lost there: it is said again afterwards."""
    heard: list[int] = []

    def hear(number: int, frame: Any) -> None:
        heard.append(number)
        signal.default_int_handler(number, frame)

    is_ours = threading.current_thread() is threading.main_thread()
    if not is_ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, hear)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if heard:
        raise KeyboardInterrupt


_loops: dict[FunctionType, Any] = {}


def loop_of(kernel: FunctionType) -> Any:
    """run(hbt, machine, numbers, memories, wishes, steps) for a kernel: compiled at its first call, once per process."""
    if kernel not in _loops:
        teach(kernel)
        compile_inner: Any = njit(**INNER)
        _loops[kernel] = _make_loop(compile_inner(kernel))
    return _loops[kernel]


def _make_loop(kernel: Any) -> Any:
    wait, look, send = machine.wait, machine.look, machine.send

    def run(hbt: Any, m: Any, numbers: Any, memories: Any, wishes: Any, steps: int) -> int:
        for _ in range(steps):
            asset = wait(hbt, m)
            if asset < 0:
                return asset
            if not look(hbt, m, asset):
                continue
            clock, seen = m.clock[asset], m.looks[asset]
            market = MarketView(
                BookDepth(hbt.depth(asset), m.scales[asset, 2]),
                clock[BID], clock[BID_LOTS], clock[ASK], clock[ASK_LOTS], seen[POSITION], seen[BOUGHT], seen[SOLD],
            )  # fmt: skip
            count = kernel(market, seen[NOW], numbers[asset], memories[asset], wishes)
            code = send(hbt, m, asset, count, wishes)
            if code != 0:
                return code
        return MORE

    return njit(run)


class CompiledRun:
    """Several strategies of one kernel, compiled with the machine."""

    def __init__(self, strategies: Sequence[KernelStrategy]) -> None:
        kernels = {type(each).kernel for each in strategies}
        assert len(kernels) == 1, "one compiled loop has one kernel"
        self._kernel: FunctionType = kernels.pop()
        assert not isinstance(self._kernel, BuiltinFunctionType), "a kernel is written in Python"
        self._loop = loop_of(self._kernel)
        self._numbers = tuple(each.numbers for each in strategies)
        self._memories = tuple(_arrays(each.memory) for each in strategies)
        self._kept = [each.memory for each in strategies]  # The arrays are views of it.
        self._rows = integer_rows(WISHES_MAX, 3)
        self._wishes = array_of(self._rows)

    def steps(self, hbt: Any, m: machine.Machine) -> int:
        """Up to STEPS_PER_CALL looks. Returns END, FULL, MORE, TOO_MANY or REFUSED."""
        return int(self._loop(hbt, m, self._numbers, self._memories, self._wishes, STEPS_PER_CALL))

    def warm(self, hbt: Any, m: machine.Machine) -> None:
        """Compiles, if this process has not yet: nothing happens in no steps.

        Raises:
            ConfigError: the kernel is not in Numba's subset.
        """
        try:
            with interruptible():
                warm_steps(hbt, m)
                self._loop(hbt, m, self._numbers, self._memories, self._wishes, 0)
        except NumbaError as error:
            reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            name = f"{self._kernel.__module__}.{self._kernel.__name__}"
            raise ConfigError(f"{name} cannot be compiled ({reason}); --interpreted runs it as it is") from error


def _arrays(memory: Any) -> Any:
    """A strategy's memory with numpy's views of its arrays."""
    return type(memory)(*(each if hasattr(each, "dtype") else array_of(each) for each in memory))
