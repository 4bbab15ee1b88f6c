"""``rigdrop assets list|install|verify|where``: bodies and network weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .. import assets
from ..config.layers import settings_app
from ..errors import MissingPartError, ReadError
from .output import print_json, print_table, progress

app = settings_app(name="assets", help="List, install, verify and locate bodies and network weights.")


@app.command(name="list")
def list_assets(*, json: bool = False) -> None:
    """List every part: what it is, its licence, and whether it is there.

    Parameters
    ----------
    json
        Print JSON instead of a table.
    """
    _show(assets.list_states(), json)


@app.command
def install(
    *names: str, source: Annotated[Path | None, Parameter(name="from")] = None, json: bool = False
) -> None:
    """Fetch parts that are missing or damaged; all of them where none is named.

    Parameters
    ----------
    names
        The parts to fetch.
    source
        A folder that holds the packages' files or the parts themselves; the network is not used then.
    json
        Print JSON instead of a table.
    """
    with progress() as emit:

        def say(done: int, total: int | None) -> None:
            emit("progress", stage="fetch", done=done, total=total)

        emit("stage", take="assets", stage="fetch")
        states = assets.install(names or None, source=source, on_progress=say)
    _show(states, json)


@app.command
def verify(*names: str, json: bool = False) -> int:
    """Check the parts that are there; exits with 69 where one is missing or damaged.

    Parts that Rigdrop fetches are checked against the hashes that are pinned, SAM 3D Body's weights by their names and shapes.

    Parameters
    ----------
    names
        The parts to check.
    json
        Print JSON instead of a table.
    """
    states = [_looked_into(state) for state in assets.verify(names or None)]
    _show(states, json)
    faults = [state for state in states if state.state in ("missing", "damaged")]
    return MissingPartError.exit_code if faults else 0


@app.command
def where(name: str = "", /) -> None:
    """Print the folder of all parts, or the place of one.

    Parameters
    ----------
    name
        The part.
    """
    place = assets.where(name) if name else assets.assets_folder()
    if place is None:
        raise MissingPartError(f"{name}: nobody said where it is; {assets.ASSETS[name].how_to_get}")
    print(place)


def _looked_into(state: assets.AssetState) -> assets.AssetState:
    """Return how it stands with a part that has no hash of ours, and what it is: SAM 3D Body's weights."""
    if state.asset.name != "sam3d-body" or state.state != "installed" or state.path is None:
        return state
    from ..ingest.pose.sam3d_body.checkpoint_place import checkpoint_files, expect_packages

    try:
        checkpoint_files(state.path)
    except MissingPartError as error:
        return _told(replace(state, state="missing"), error)
    try:
        expect_packages()
    except MissingPartError as error:
        return _told(state, f"not looked into: {error}")
    from ..ingest.pose.sam3d_body.checkpoint_facts import read_facts

    try:
        return _told(state, read_facts(state.path))
    except ReadError as error:
        return _told(replace(state, state="damaged"), error)


def _told(state: assets.AssetState, about: object) -> assets.AssetState:
    return replace(state, asset=replace(state.asset, about=str(about)))


def _show(states: Sequence[assets.AssetState], json: bool) -> None:
    rows = [
        {"asset": state.asset.name, "state": state.state, "mb": round(state.asset.size_bytes / 1e6, 1), "licence": state.asset.licence,
         "about": state.asset.about}
        for state in states
    ]
    if json:
        paths = [{"path": None if state.path is None else str(state.path), "sha256": state.asset.sha256} for state in states]
        print_json([row | path for row, path in zip(rows, paths, strict=True)])
    else:
        print_table(("asset", "state", "MB", "licence", "about"), [tuple(row.values()) for row in rows])
