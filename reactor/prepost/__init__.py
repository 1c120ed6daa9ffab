"""prepost."""
