from __future__ import annotations

import pytest
import torch

from rigdrop.ingest.pose.sam3d_body.checkpoint import build_network
from rigdrop.ingest.pose.sam3d_body.compiled import compile_network
from rigdrop.ingest.pose.sam3d_body.passes import PassOptions, find_bodies

from .sam3d_clip import alone, frame_of
from .sam3d_fixture import recorded_network  # noqa: F401

OPTIONS = PassOptions(wrist_threshold_rad=4.0)


def _compiled(recorded, backend):
    network = build_network(recorded.state, recorded.config, recorded.arrays, "fixture")
    compile_network(network, backend)
    return network


def _apart(recorded, network, who: list[int]) -> float:
    people = alone(frame_of(recorded, 0, who))
    found, truth = (find_bodies(one, people, OPTIONS) for one in (network, recorded.network()))
    return float((found.joints_m - truth.joints_m).abs().max())


@pytest.mark.slow
def test_the_compiled_parts_are_traced_and_say_the_same(recorded):
    traced = []
    torch._dynamo.reset()
    network = _compiled(recorded, lambda graph, _: traced.append(graph) or graph.forward)
    for who in ([0, 1], [0, 1, 0]):
        assert _apart(recorded, network, who) < 1e-6
    # A block, and a decoder's layers: the first and the others, in both looks. Blocks and layers of a kind share.
    assert not network.warnings and 3 <= len(traced) <= 12


def test_a_network_that_can_t_be_compiled_runs_as_it_is_and_says_so(recorded):
    def broken(_, __):
        raise OSError("found no compiler")

    torch._dynamo.reset()
    network = _compiled(recorded, broken)
    assert _apart(recorded, network, [0, 1]) < 1e-6
    assert len(network.warnings) == 1 and "can't be compiled here" in network.warnings[0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's compiler imports what torch itself deprecates
def test_the_machine_s_own_compiler_makes_the_same_network(recorded):
    torch._dynamo.reset()
    network = _compiled(recorded, "inductor")
    for who in ([0, 1], [0, 1, 0]):
        assert _apart(recorded, network, who) < 1e-5
    assert not network.warnings
