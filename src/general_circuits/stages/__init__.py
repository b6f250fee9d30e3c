"""Stages: one file per rule. Each reads tables, calls the package that does the work, and writes tables."""

import os

# A user's backend or file of settings must not end a job. matplotlib reads both when it is imported, as captum does.
os.environ.update(MPLBACKEND="agg", MATPLOTLIBRC=os.devnull)
