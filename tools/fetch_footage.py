"""Fetch real footage for the pages on one's own: the videos of the recording that is embedded.

    python tools/fetch_footage.py FOLDER [WHEEL]
    python tools/fetch_footage.py FOLDER [WHEEL] --people 2

One man, or a man and a woman, four cameras, 100 frames at 60 Hz, with the calibration that belongs
to them. They travel in the package pose2sim (BSD-3-Clause), which pip fetches and whose hash is
checked. People can be recognised: what is published of these films is drawn as skeletons, or
blurred above the neck.
"""

import argparse
from pathlib import Path

from posebook.data.formats.wheels import open_wheel

REQUIREMENT = "pose2sim==0.10.49"
SHA256 = "403e0dc4065898ba6a595e72a8970950310979253d60e24c2e00b16b36bf21e1"
TAKES = {1: "Pose2Sim/Demo_SinglePerson/", 2: "Pose2Sim/Demo_MultiPerson/"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the films are written")
    parser.add_argument("wheel", nargs="?", help="the package, where it is there already")
    text = "of the take with so many (default: 1)"
    parser.add_argument("--people", type=int, choices=TAKES, default=1, help=text)
    given = parser.parse_args()
    wheel = open_wheel(given.wheel, REQUIREMENT, SHA256)
    given.folder.mkdir(parents=True, exist_ok=True)
    for name in wheel.namelist():
        if name.startswith(TAKES[given.people]) and name.endswith((".mp4", ".qca.txt")):
            (given.folder / Path(name).name).write_bytes(wheel.read(name))
            print("written:", given.folder / Path(name).name)


if __name__ == "__main__":
    main()
