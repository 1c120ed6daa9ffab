"""All our C, and the one script that compiles it (build.py)."""
