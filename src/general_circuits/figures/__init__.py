"""Figures: one file per figure, from tidy frames to a matplotlib figure. `registry.py` lists them."""

import os

# matplotlib reads a user's backend and file of settings when it is imported. A wrong one would end every figure.
os.environ.update(MPLBACKEND="agg", MATPLOTLIBRC=os.devnull)
