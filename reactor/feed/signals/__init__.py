"""feed/signals."""
