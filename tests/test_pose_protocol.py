from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from rigdrop.errors import MissingPartError, SettingsError
from rigdrop.ingest.pose import protocol
from rigdrop.ingest.pose.options import EstimatorOptions, PoseOptions
from rigdrop.ingest.pose.protocol import estimator_names, load_estimator


def test_our_own_estimator_has_its_name():
    assert load_estimator(EstimatorOptions()).name == "blazepose" == estimator_names()[0]


def test_an_unknown_estimator_is_an_error_that_names_those_there_are():
    with pytest.raises(SettingsError, match="found 'openpose', expected one of blazepose, sam3d-body"):
        load_estimator(EstimatorOptions(PoseOptions(estimator="openpose")))


def test_an_unknown_quality_is_an_error():
    with pytest.raises(SettingsError, match="expected one of draft, standard, high"):
        PoseOptions(quality="best")


def test_another_package_brings_an_estimator_by_entry_point(monkeypatch):
    group = "rigdrop.estimators"
    points = EntryPoints([EntryPoint("mine", "builtins:repr", group), EntryPoint("gone", "no_such_package:x", group)])
    monkeypatch.setattr(protocol, "entry_points", lambda group: points.select(group=group))
    assert estimator_names() == ["blazepose", "sam3d-body", "gone", "mine"]
    assert "estimator='mine'" in load_estimator(EstimatorOptions(PoseOptions(estimator="mine")))  # it was found, and called
    with pytest.raises(MissingPartError, match="gone"):
        load_estimator(EstimatorOptions(PoseOptions(estimator="gone")))


@pytest.mark.parametrize("module", [
    "ingest.people.options", "ingest.pose.options", "ingest.pose.sam3d_body.options", "ingest.video_options",
])
def test_options_are_light_to_import(module):
    script = f"import sys, rigdrop.{module}; sys.exit(any(name in sys.modules for name in ('numpy', 'cv2', 'av', 'ai_edge_litert')))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
