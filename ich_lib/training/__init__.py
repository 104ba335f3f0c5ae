"""From a recipe and a table of slices to a run folder."""
