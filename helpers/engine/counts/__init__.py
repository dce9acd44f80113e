"""The likelihood of counts: binomial and Poisson models with a random effect."""
