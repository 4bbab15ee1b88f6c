from __future__ import annotations

import os
import threading
import weakref

import pytest
import torch

from rigdrop.errors import MissingPartError
from rigdrop.ingest.pose.sam3d_body import shared_networks
from rigdrop.ingest.pose.sam3d_body.device import Place
from rigdrop.ingest.pose.sam3d_body.shared_networks import shared_network

from .sam3d_checkpoint import write_checkpoint
from .sam3d_fixture import recorded_network  # noqa: F401

PLACE = Place(torch.device("cpu"), torch.float32)


def test_clips_share_a_network_until_its_file_or_what_is_asked_of_it_changes(recorded, tmp_path):
    folder = write_checkpoint(recorded, tmp_path / "weights")
    found = []
    threads = [threading.Thread(target=lambda: found.append(shared_network(folder, PLACE))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first = found[0]
    assert len(found) == 3 and all(network is first for network in found)
    assert shared_network(folder / "model.ckpt", PLACE) is first
    rough = shared_network(folder, Place(PLACE.device, torch.bfloat16))
    assert rough is not first and rough.dtype == torch.bfloat16
    assert shared_network(folder, Place(PLACE.device, torch.bfloat16)) is rough
    os.utime(folder / "model.ckpt", ns=(1, 1))
    assert shared_network(folder, Place(PLACE.device, torch.bfloat16)) is not rough


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's compiler imports what torch itself deprecates
def test_an_old_network_goes_before_the_new_one_comes_compiled_or_not(recorded, tmp_path, monkeypatch):
    folder = write_checkpoint(recorded, tmp_path / "weights")
    kept = [weakref.ref(value) for value in shared_network(folder, PLACE, compile_it=True).parameters()]
    load, alive = shared_networks.load_network, []

    def watched(*arguments):
        alive.append(sum(value() is not None for value in kept))
        return load(*arguments)

    monkeypatch.setattr(shared_networks, "load_network", watched)
    shared_network(folder, PLACE)
    assert alive == [0]


def test_no_memory_for_a_network_is_one_sentence(recorded, tmp_path, monkeypatch):
    folder = write_checkpoint(recorded, tmp_path / "weights")

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(shared_networks, "load_network", full)
    with pytest.raises(MissingPartError, match=r"cpu: found too little memory for the network, .* device cpu"):
        shared_network(folder, PLACE)
