"""C3D: labelled points, mostly markers on the skin. Needs ezc3d, of the extra `footage`.
"""

from pathlib import Path

import numpy as np

from posebook.data.captured.capture import Capture


def read_c3d(path: str | Path) -> Capture:
    """A file's points over time; a label "Subject:LKNE" is LKNE.

    Raises:
        ModuleNotFoundError: where ezc3d is not installed.
        ValueError: for what is no C3D file, is cut short, or has no points.
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
    if (announced := _announced(path)) > len(points):
        raise ValueError(
            f"{path}: its header announces {announced} frames and {len(points)} are there; it is "
            "cut short: copy or export it again"
        )
    points = np.where(lost[..., None], np.nan, points)[:, : len(labels)]
    return Capture(path, tuple(label.split(":")[-1] for label in labels), points, float(fps))


def _announced(path: Path) -> int:
    """How many frames the header promises; ezc3d tells what it has found. 0 where it does not say.

    The first and the last one are its words 4 and 5, in the byte order of the processor that the
    parameters name: 84 is Intel.
    """
    with open(path, "rb") as file:
        head = file.read(10)
        file.seek(512 * (head[0] - 1) + 3)
        if file.read(1) != b"T":
            return 0
    first, last = np.frombuffer(head[6:10], "<u2").astype(int)
    return int(last - first + 1)
