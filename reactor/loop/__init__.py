"""The machinery of time: shards, roles, links, waiting, clock, counters, log."""
