"""Follow-up and person-time in this review."""
