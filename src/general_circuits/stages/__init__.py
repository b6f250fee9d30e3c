"""Stages: one file per rule. Each reads its tables, calls the one room that does its work, and writes a table."""
