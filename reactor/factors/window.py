"""Rolling statistics over the last N samples: rank and quantile in O(log N), kept in C (cffi_build/include/window.h)."""

from reactor._native import ffi, lib


class Window:
    """The last `capacity` samples, by arrival and by size. Samples that are not finite are refused."""

    __slots__ = ("_arrays", "native")

    def __init__(self, capacity: int) -> None:
        assert capacity > 0, "a window holds at least one sample"
        self.native = ffi.new("window_t *")
        self._arrays = (ffi.new("double[]", capacity), ffi.new("double[]", capacity))
        lib.window_init(self.native, self._arrays[0], self._arrays[1], capacity)

    def __len__(self) -> int:
        return int(self.native.count)

    @property
    def is_full(self) -> bool:
        """True once every place is taken."""
        return bool(self.native.count == self.native.capacity)

    def push(self, sample: float) -> bool:
        """Takes a sample; the oldest leaves a full window. Returns False if it was refused (not finite)."""
        return bool(lib.window_push(self.native, sample))

    def rank(self, value: float) -> float:
        """Share of the samples below `value`, equal ones counted half: in [0, 1]; 0.5 while empty."""
        return float(lib.window_rank(self.native, value))

    def quantile(self, quantile: float) -> float:
        """The sample at a share in [0, 1], nearest rank from below; NaN while empty."""
        return float(lib.window_quantile(self.native, quantile))

    def clear(self) -> None:
        """Forgets every sample."""
        lib.window_clear(self.native)
