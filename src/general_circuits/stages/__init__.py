"""Stages: one file per rule. Each reads tables, calls the package that does the work, and writes tables."""
