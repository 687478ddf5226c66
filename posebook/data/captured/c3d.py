"""C3D: labelled points, mostly markers on the skin. Needs ezc3d, of the extra `footage`.
"""

from pathlib import Path

import numpy as np

from posebook.data.captured.capture import Capture


def read_c3d(path: str | Path) -> Capture:
    """A file's points over time; a label "Subject:LKNE" is LKNE.

    Raises:
        ModuleNotFoundError: where ezc3d is not installed.
        ValueError: for what is no C3D file, or has no points.
        OSError: where there is none.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        import ezc3d
    except ImportError:
        raise ModuleNotFoundError(
            f"{path}: C3D needs ezc3d; pip install 'posebook[footage]'"
        ) from None
    try:
        file = ezc3d.c3d(str(path))
        labels = file["parameters"]["POINT"]["LABELS"]["value"]
        [fps] = file["parameters"]["POINT"]["RATE"]["value"]
        points = np.moveaxis(file["data"]["points"][:3], 0, -1).swapaxes(0, 1)
        lost = file["data"]["meta_points"]["residuals"][0].T < 0
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise ValueError(f"{path}: cannot be read as C3D ({error}); export it again") from None
    if not labels or not len(points):
        raise ValueError(f"{path}: no points in it; export the take with its markers")
    points = np.where(lost[..., None], np.nan, points)[:, : len(labels)]
    return Capture(path, tuple(label.split(":")[-1] for label in labels), points, float(fps))
