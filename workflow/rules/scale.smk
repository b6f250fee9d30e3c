# What keeps the DAG of thousands of blocks quick to build; docs/slurm.md has the figures.
import functools
import gc

import snakemake.common
import snakemake.rules

# Millions of objects are made, and stay: Python need not look for garbage among them, now or later.
gc.disable()

# Snakemake looks up the parameters of the same dozen functions for every job; once each is enough.
parameters = functools.cache(snakemake.common.get_function_params)
snakemake.common.get_function_params = snakemake.rules.get_function_params = parameters


def look_for_garbage():
    """From now on, and not in the DAG."""
    gc.freeze()
    gc.enable()
