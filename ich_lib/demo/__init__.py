"""What the web demo does: its session, its job, its viewer."""
