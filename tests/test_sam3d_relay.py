from __future__ import annotations

import pytest

from rigdrop.ingest.pose.sam3d_body.passes import PassOptions, find_bodies
from rigdrop.ingest.pose.sam3d_body.relay import Relay

from .sam3d_clip import alone, frame_of
from .sam3d_fixture import recorded_network  # noqa: F401


@pytest.mark.parametrize("mode", ["full", "body"])
def test_batches_in_turn_find_what_each_alone_does_in_fewer_turns_of_the_backbone(recorded, mode, monkeypatch):
    network, options = recorded.network(), PassOptions(mode, wrist_threshold_rad=4.0)
    people = [alone(frame_of(recorded, number, who)) for number, who in enumerate(([0, 1], [1], [1, 0, 1]))]
    truth = [find_bodies(network, one, options) for one in people]
    turns, features = [], network.features
    monkeypatch.setattr(network, "features", lambda pixels: turns.append(len(pixels)) or features(pixels))
    relay = Relay(network, options)
    assert relay.give(people[0]) is None
    found = [relay.give(one) for one in (*people[1:], None)]
    assert turns == ([2, 1 + 4, 3 + 2, 6] if mode == "full" else [2, 1, 3])
    assert relay.give(None) is None
    for one, other in zip(found, truth):
        # Products of more rows may round in another order.
        assert float((one.joints_m - other.joints_m).abs().max()) < 1e-5
        assert float((one.keypoints_px - other.keypoints_px).abs().max()) < 1e-2
