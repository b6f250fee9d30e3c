"""Claims: one file per claim, tidy frames in and findings out. `registry.py` lists them all."""
