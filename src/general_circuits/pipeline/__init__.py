"""Pipeline: how a study runs. `dag.py` answers the workflow's questions; the rest launches, plans and documents."""
