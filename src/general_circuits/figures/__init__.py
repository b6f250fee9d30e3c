"""Figures: one file per figure, tidy frames in and a matplotlib figure out. `registry.py` lists them."""
