"""data/convert."""
