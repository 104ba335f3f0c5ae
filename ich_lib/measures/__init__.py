"""Numbers about masks, scores and patients: metrics, intervals and tests, volume."""
