"""Config: what a user writes, as typed settings with defaults, inheritance, checks and clear errors."""
