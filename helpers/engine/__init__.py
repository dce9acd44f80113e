"""Numbers only: designs, likelihoods, estimates, limits and what is refitted from them; no table."""
