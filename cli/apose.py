"""``rigdrop apose export``: the bind pose as other tools read it."""

from __future__ import annotations

from pathlib import Path

from ..config.layers import settings_app

app = settings_app(name="apose", help="Write a rig's bind pose as a file that other tools read.")


@app.command
def export(*, rig: str = "unreal", pose: str = "A", out: Path = Path("apose.npz"), mhr: Path | None = None) -> None:
    """Write where SMPL-H's 52 joints are on a rig, as J_ABSOLUTE (52,3) in an npz file: metres, +Y up, facing +Z.

    Parameters
    ----------
    rig
        The rig, by name.
    pose
        own, T, A, or an npz file such as this command writes.
    out
        The file to write.
    mhr
        Folder that holds the Momentum Human Rig's files, for --rig mhr.
    """
    import numpy as np

    from ..convert.rest_pose import apose_of, with_bind_pose
    from ..convert.rigs import load_rig
    from ..files import atomic_path

    places = apose_of(with_bind_pose(load_rig(rig, mhr_folder=mhr), pose))
    with atomic_path(out) as temporary, temporary.open("wb") as stream:
        np.savez(stream, J_ABSOLUTE=places)
    print(out)
