"""The contract between stages: one file per table, so that a new one reruns nothing. Its name is its file's."""
