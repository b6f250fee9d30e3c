"""Duels: a general circuit and shallow ones answer alike at the start and train together. See docs/duels.md."""
