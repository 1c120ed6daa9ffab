"""sim/faces."""
