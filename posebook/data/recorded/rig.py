"""The camera rig of Human3.6M: four calibrated cameras, placed anew for each subject."""

import json
from functools import cache
from pathlib import Path

from posebook.data.embedded import ASSETS
from posebook.geometry.camera import Camera

ASSET = ASSETS / "human36m_cameras.json"


@cache
def published(asset: Path) -> dict:
    """An embedded JSON file of cameras."""
    try:
        return json.loads(asset.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{asset.name}: cannot be read ({error}); restore it with "
            f"`git checkout -- posebook/data/assets/{asset.name}`"
        ) from error


@cache
def human36m_rig(subject: str) -> tuple[Camera, ...]:
    """The four cameras of `subject` (S1, S5 to S9, S11), published numbers, world in metres, z up.

    Raises:
        ValueError: for a subject whose cameras were not published.
    """
    found = published(ASSET)
    if subject not in found["extrinsics"]:
        known = ", ".join(found["extrinsics"])
        raise ValueError(f"no published cameras for subject {subject!r}; known: {known}")
    lenses = {lens["id"]: lens for lens in found["cameras"]}
    rig = []
    for pose in found["extrinsics"][subject]:
        lens = lenses[pose["id"]]
        rig.append(
            Camera.from_quaternion_c2w(
                pose["id"],
                pose["orientation_wxyz_cam_to_world"],
                pose["center_m"],
                lens["focal_px"],
                lens["center_px"],
                lens["resolution"],
                radial=lens["radial"],
                tangential=lens["tangential_metadata_order"],
            )
        )
    return tuple(rig)
