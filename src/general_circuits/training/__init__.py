"""Training: one replica from its seed to its last step. `loop.py` is the loop, `replica.py` one step of it."""
