"""Duels: circuits that answer alike at the start, one general, the others shallow, trained together. docs/duels.md."""
