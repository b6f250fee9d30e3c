"""The tables that stages exchange: one file per table, under the table's name, so that a new table reruns nothing."""
