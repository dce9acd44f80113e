"""Numbers only: designs, likelihoods, estimates, limits and refits; no table."""
