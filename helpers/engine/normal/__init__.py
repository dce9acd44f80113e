"""The normal model: effects with variances."""
