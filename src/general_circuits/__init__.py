"""general-circuits: does gradient descent prefer general circuits? The experiments, as a pipeline."""

__version__ = "0.1.0"
