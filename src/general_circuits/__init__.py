"""general-circuits: does gradient descent prefer general circuits? The experiments, as a pipeline."""

from importlib.metadata import version

__version__ = version("general-circuits")
