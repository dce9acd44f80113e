"""What tests of the book share: kernels that are ready."""

import os
from collections.abc import Iterator

import pytest
from warm_kernels import WarmKernels


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmKernels]:
    """Fork kernels from one server: to import what chapters import takes seconds."""
    with WarmKernels(["helpers.evidence"], dict(os.environ)) as kernels:
        assert kernels.reason == ""
        yield kernels
