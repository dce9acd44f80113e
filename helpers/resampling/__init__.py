"""Resampling inference for a pooled result: bootstrap and sign-flip permutation.

Both take a `PoolResult` of any model and fit their replicates in batches.
"""

from __future__ import annotations

from helpers.resampling.bootstrap import BootstrapResult, bootstrap
from helpers.resampling.sign_flips import SignFlipTest, permutation_test

__all__ = ["BootstrapResult", "SignFlipTest", "bootstrap", "permutation_test"]
