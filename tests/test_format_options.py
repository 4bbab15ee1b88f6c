"""Options check themselves, and the module that holds them stays light."""

import subprocess
import sys

import pytest

from rigdrop.errors import SettingsError
from rigdrop.formats.options import GlbSkeletalOptions, UsdSkelOptions


@pytest.mark.parametrize(("make", "message"), [
    (lambda: GlbSkeletalOptions(influences=5), "influences: found 5, expected one of 4, 8"),
    (lambda: UsdSkelOptions(preset="maya"), "preset: found 'maya', expected one of default, unreal"),
    (lambda: UsdSkelOptions(format="usd"), "format: found 'usd', expected one of usdc, usda, usdz"),
])
def test_a_wrong_value_says_what_is_right(make, message):
    with pytest.raises(SettingsError, match=message):
        make()


def test_the_format_is_in_the_files_name():
    assert UsdSkelOptions(format="usdz").suffix == "_skel.usdz"


def test_listing_formats_loads_no_heavy_library():
    heavy = "[name for name in ('pxr', 'pygltflib', 'cv2') if name in sys.modules]"
    code = f"import sys, rigdrop.formats.registry as registry; registry.available_formats(); print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
