"""Tasks: complete tables of examples. Each family of operations has a file; `registry.py` lists the operations."""
