"""Streaming factors: what a market looks like now, in a constant number of operations per sample.

    window.py     rank and quantile of the last N samples        kernels.py    rolling mean and deviation, averages, spans
    imbalance.py  the book: depth within a distance of the mid    compiled.py   the same kernels for functions of Numba
    streaming.py  the factors as objects, one by one or in batch  sampling.py   recorded events → what a batch runs over
    C: cffi_build/include/{window,factors,sampling}.h

Every factor has update/push, value, reset and a warm-up: NaN (or "not full") until it knows enough. One kernel
serves all three, on the same state. Pure: samples and times come in, numbers go out; nothing here reads a clock or a socket.
"""
