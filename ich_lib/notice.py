"""The notice that every page, file and command carries."""

NOTICE = "Teaching and research only. Not a medical device: never use it to diagnose, treat or triage anyone."
