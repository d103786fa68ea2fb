"""Results of a run, their statistics, and how they are shown."""
