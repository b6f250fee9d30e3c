"""Tasks: complete tables of examples, one file per family of operations. `registry.py` lists the operations."""
