"""The networks, written plainly, one kind per file; `build.py` makes the one that settings ask for."""
