"""Progress measures: what of a network's answers is the general solution, and what is not. docs/progress.md."""
