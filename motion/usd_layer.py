"""A USD stage as one layer and the files that it names, so that both can go elsewhere together."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from pxr import Ar, Sdf, Usd, UsdUtils

Pictures = dict[str, bytes]


def flattened(path: Path) -> tuple[Sdf.Layer, Pictures]:
    """Return a stage as one anonymous layer without instances, and the files it names: ``pictures/NAME`` → bytes.

    Asset paths that lead nowhere, as those to a renderer's own shaders do, stay as they are.
    """
    stage = Usd.Stage.Open(str(path))
    stage.SetEditTarget(stage.GetSessionLayer())
    while instances := [prim for prim in stage.Traverse() if prim.IsInstance()]:
        for prim in instances:
            prim.SetInstanceable(False)
    layer = stage.Flatten(False)
    assets: set[str] = set()

    def seen(asset: str) -> str:
        assets.add(asset)
        return asset

    UsdUtils.ModifyAssetPaths(layer, seen)
    named: dict[str, str] = {}
    pictures: Pictures = {}
    for asset in sorted(assets):  # USD goes through them in an order of its own
        content = _content(asset)
        if content is not None:
            named[asset] = _free(asset, pictures)
            pictures[named[asset]] = content
    UsdUtils.ModifyAssetPaths(layer, lambda asset: named.get(asset, asset))
    return layer, pictures


def _content(asset: str) -> bytes | None:
    resolver = Ar.GetResolver()
    resolved = resolver.Resolve(asset)
    opened = resolver.OpenAsset(resolved) if resolved else None
    return None if opened is None else bytes(opened.GetBuffer())


def _free(asset: str, taken: Pictures) -> str:
    """Return a plain name of its own; a file in a package ends with ``]``."""
    name = PurePosixPath(asset.replace("\\", "/").split("[")[-1].rstrip("]")).name
    stem, suffix, number = PurePosixPath(name).stem, PurePosixPath(name).suffix, 2
    unique = f"pictures/{name}"
    while unique in taken:
        unique, number = f"pictures/{stem}_{number}{suffix}", number + 1
    return unique


def packed(path: Path) -> bytes:
    """Return the bytes of a stage's file; of one that names other files, a usdz that holds them all."""
    if path.suffix.lower() == ".usdz" or zipfile.is_zipfile(path):
        return path.read_bytes()
    layers, assets, _ = UsdUtils.ComputeAllDependencies(Sdf.AssetPath(str(path)))
    if len(layers) <= 1 and not assets:
        return path.read_bytes()
    layer, pictures = flattened(path)
    with tempfile.TemporaryDirectory() as folder:
        root, package = Path(folder) / f"{path.stem}.usdc", Path(folder) / "package.usdz"
        layer.Export(str(root))
        writer = Sdf.ZipFileWriter.CreateNew(str(package))
        writer.AddFile(str(root), root.name)
        for name, content in pictures.items():
            file = Path(folder) / name
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)
            writer.AddFile(str(file), name)
        writer.Save()
        return package.read_bytes()


@contextmanager
def unpacked(content: bytes) -> Iterator[Path]:
    """Lay a stage's bytes, as `packed` gives them, in a folder for as long as it is needed."""
    suffix = ".usdz" if content.startswith(b"PK") else ".usda" if content.startswith(b"#usda") else ".usdc"
    # USD may hold what it read until the stage is gone, and one system deletes no file that is held.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / f"character{suffix}"
        path.write_bytes(content)
        yield path
