"""The notice on every page, file and command."""

NOTICE = "Teaching and research only. Not a medical device: never use it to diagnose, treat or triage anyone."
