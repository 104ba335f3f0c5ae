"""Pages of the student workbench."""
