"""Embedded real detections: one man on a beam, 4 calibrated cameras, 100 instants at 60 Hz.

The joints are what OpenPose saw, errors included; nobody measured the true 3D pose. Origin,
licence and limits: assets/pose2sim_walk.md. Made by tools/embed_pose2sim.py.
"""



from posebook.data.embedded import read_embedded
from posebook.data.records import ViewSequence
from posebook.geometry.camera import Camera

ASSET = "pose2sim_walk.npz"
SHA256 = "01256d570ab800ac9cfbaa88a254860985508206aaf4614d963383901986333f"
REMEDY = "python tools/embed_pose2sim.py"
FIT_FRAMES = range(0, 100, 4)  # the refined extrinsics were fitted to these instants


def load_pose2sim(extrinsics: str = "refined") -> ViewSequence:
    """The sequence: joints_2d (100, 4, 17, 2) px, confidence (100, 4, 17), joints_3d None.

    Args:
        extrinsics: "refined" (bundle adjustment on FIT_FRAMES) or "shipped" (the package's own
            calibration, about one degree off). World in metres, Z up.

    Raises:
        FileNotFoundError, ValueError: naming file and remedy, if the file is not intact.
    """
    if extrinsics not in ("refined", "shipped"):
        raise ValueError(f"extrinsics must be 'refined' or 'shipped', not {extrinsics!r}")
    arrays = read_embedded(ASSET, SHA256, REMEDY)
    cameras = tuple(
        Camera(
            str(name),
            arrays[f"{extrinsics}_R"][view],
            arrays[f"{extrinsics}_center"][view],
            arrays["focal"][view],
            arrays["principal"][view],
            tuple(int(side) for side in arrays["resolution"][view]),
            radial=arrays["radial"][view],
            tangential=arrays["tangential"][view],
        )
        for view, name in enumerate(arrays["names"])
    )
    return ViewSequence(
        joints_2d=arrays["joints_2d"],
        confidence=arrays["confidence"],
        cameras=cameras,
        subject="pose2sim",
        action="walk",
        fps=60.0,
        split="test",
        source=f"pose2sim 0.7.0, {extrinsics} extrinsics",
    )
