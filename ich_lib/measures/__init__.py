"""Numbers about masks, scores and patients: metrics, intervals, tests, volumes."""
