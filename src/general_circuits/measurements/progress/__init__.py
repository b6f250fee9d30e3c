"""Progress measures: how much of a network's answers is the general solution. docs/progress.md explains them."""
