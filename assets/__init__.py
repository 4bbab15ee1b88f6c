"""Where bodies and network weights come from: pinned, checked by sha256, kept with their licences."""

from .fetch import Progress
from .manifest import ASSETS, Asset
from .store import AssetState, asset_path, assets_folder, install, list_states, verify, where

__all__ = ["ASSETS", "Asset", "AssetState", "Progress", "asset_path", "assets_folder", "install", "list_states", "verify", "where"]
