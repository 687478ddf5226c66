"""Are people told apart in a rig's videos? Each view is judged by the other cameras alone.

    python tools/fetch_footage.py two --people 2
    python tools/who_is_who.py two --people 2

For every person, frame and camera, the person is triangulated from the other cameras and projected
into this one. A view is right if the detection that was given to the person lies nearer to this
projection than to that of anybody else. It is judged where all of them can be projected; a frame
that nothing judges is not counted. Joints are those of the detector, or of an earlier call,
which are kept in FOLDER/posebook/detections.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np

from posebook.data.records import ViewSequence
from posebook.footage.calibration import read_calibration
from posebook.footage.detections import View, read_detections
from posebook.footage.people import SURE, find_people, take_of
from posebook.footage.videos import SUFFIXES, look, open_videos
from posebook.geometry.multiview import triangulate


def seen(folder: Path, cameras: tuple, people: int) -> list[View]:
    """The views of all cameras, in their order."""
    kept = folder / "posebook" / "detections"
    if all((kept / f"{camera.name}.npz").is_file() for camera in cameras):
        views = [read_detections(kept / f"{camera.name}.npz") for camera in cameras]
    else:
        paths = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
        films = open_videos(paths, cameras)
        views = [look(film, camera, kept, people) for film, camera in zip(films, cameras)]
    return [view.mapped("h36m17") for view in views]


def from_the_others(take: ViewSequence, view: int) -> np.ndarray:
    """Pixels (T, J, 2) of the person in a view, by triangulation of all other views."""
    rays = [c.rays(np.nan_to_num(take.joints_2d[:, v])) for v, c in enumerate(take.cameras)]
    weights = np.where(np.isfinite(take.joints_2d).all(-1), take.confidence, 0.0)
    weights[:, view] = 0.0
    R, center = (np.stack([getattr(c, name) for c in take.cameras]) for name in ("R", "center"))
    world = triangulate(np.stack(rays, axis=2), R, center, weights.swapaxes(1, 2))
    return take.cameras[view].project(world.reshape(-1, 3)).reshape(*world.shape[:2], 2)


def judged(takes: list[ViewSequence], view: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, T) each: whether a view of person n is judged, and shows somebody else, in a frame."""
    places = [from_the_others(take, view) for take in takes]
    off = np.stack([
        [np.where(take.confidence[:, view] > SURE,
                  np.linalg.norm(take.joints_2d[:, view] - place, axis=-1), np.nan)
         for place in places] for take in takes
    ])  # fmt: skip
    own = np.arange(len(takes))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a view that shows none of them
        median = np.nanmedian(off, axis=-1)  # of person n's joints from body m: (N, N, T)
    return np.isfinite(median).all(1), median[own, own] > median.min(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a calibration (*.qca.txt) and a video a camera")
    parser.add_argument("--people", type=int, default=2, help="how many there are (default: 2)")
    given = parser.parse_args()
    [path] = given.folder.glob("*.qca.txt")
    cameras = read_calibration(path).cameras
    views = seen(given.folder, cameras, given.people)
    people = find_people(cameras, views)[: given.people]
    takes = [take_of(person, cameras, views, 60.0, str(given.folder)) for person in people]
    sure, amiss = np.stack([judged(takes, v) for v in range(len(views))], axis=2)  # (N, V, T)
    for number, person in enumerate(people, 1):
        count, bad = sure[number - 1].sum(0), amiss[number - 1].any(0)
        print(f"person {number}: placed in {person.frames} of {len(bad)} frames, in "
              f"{(person.places >= 0).sum(1).mean():.1f} of {len(views)} views, of which "
              f"{count.mean():.1f} are judged; the right person in all of these in "
              f"{100 * (1 - bad[count > 0].mean()):.0f} % of "
              f"{(count > 0).sum()} frames")  # fmt: skip


if __name__ == "__main__":
    main()
