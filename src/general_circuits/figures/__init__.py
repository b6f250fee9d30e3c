"""Figures: one file per figure, from tidy frames to a matplotlib figure. `registry.py` lists them."""
