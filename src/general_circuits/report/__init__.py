"""The report's pages: frames and settings in, HTML out. Each stands by itself and needs no network."""
