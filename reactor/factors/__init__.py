"""Streaming factors: what a market looks like now, in a constant number of operations per sample.

    window.py     rank and quantile of the last N samples        kernels.py    rolling mean and deviation, averages, spans
    imbalance.py  the book: depth within a distance, microprice   compiled.py   the same kernels for functions of Numba
    C: cffi_build/include/{window,factors}.h

Every factor has update/push, value, reset and a warm-up: NaN (or "not full") until it knows enough. Pure: samples and times
come in, numbers go out; nothing here reads a clock or a socket.
"""
