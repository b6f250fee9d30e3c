"""Pages of the report, from frames and settings to HTML. Each page is complete by itself and needs no network."""
