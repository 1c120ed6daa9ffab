"""collector/triggers."""
