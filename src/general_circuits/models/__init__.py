"""Networks, one kind per file, in plain torch. `build.py` makes the network that the settings describe."""
