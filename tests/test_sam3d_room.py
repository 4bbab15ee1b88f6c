from __future__ import annotations

import pytest
import torch

from rigdrop.ingest.pose.sam3d_body.passes import PassOptions
from rigdrop.ingest.pose.sam3d_body.room import batch_for, fitting_batch, is_out_of_memory

from .sam3d_fixture import recorded_network  # noqa: F401

GIB = 2**30


@pytest.mark.parametrize(("free", "fixed", "each", "batch"), [
    (10 * GIB, 1 * GIB, 1 * GIB, 7),  # four fifths of ten, less one
    (10 * GIB, 0, 3 * GIB, 2),
    (140 * GIB, 1 * GIB, GIB // 4, 64),  # more than any GPU needs at a time
    (GIB // 2, 1 * GIB, 1 * GIB, 1),  # tried all the same
])
def test_a_batch_is_as_large_as_memory_allows(free, fixed, each, batch):
    assert batch_for(free, fixed, each) == batch


def test_a_few_people_at_a_time_are_enough_for_a_cpu(recorded):
    assert fitting_batch(recorded.network(), PassOptions(), 3840 * 2160 * 3) == 4


@pytest.mark.parametrize(("error", "is_one"), [
    (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
    (MemoryError(), True),
    (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
    (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    (ValueError("CUBLAS_STATUS_ALLOC_FAILED"), False),
])
def test_memory_that_ran_out_is_told_from_other_faults(error, is_one):
    assert is_out_of_memory(error) == is_one


def test_the_host_s_own_lack_of_memory_is_one():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_on_a_gpu_room_is_measured(recorded):
    from rigdrop.ingest.pose.sam3d_body.checkpoint import build_network

    network = build_network(recorded.state, recorded.config, recorded.arrays, "fixture", "cuda:0")
    # The recorded network is so small that any GPU has room for all that is ever taken.
    assert fitting_batch(network, PassOptions(), 480 * 360 * 3) == 64
