"""Running a study: started, stopped, kept apart and gone on with, by content and in any environment."""
