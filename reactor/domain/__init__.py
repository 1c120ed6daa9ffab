"""The words everybody uses: instruments, ticks and lots, messages, ids, errors. No IO, no clock, no state."""
