"""Make posebook/data/assets/backgrounds.npz from the pictures in two published wheels.

    python tools/embed_backgrounds.py [scikit_image wheel] [scikit_learn wheel]

Takes five photographs and three surfaces whose licence is CC0, public domain or CC BY 2.0, makes
them small and keeps each as the bytes of a JPEG file. Prints the sha256 that
posebook/data/rendered/scene.py must state; it depends on the JPEG library inside OpenCV.
"""

import argparse

import cv2
import numpy as np
from wheels import save_npz

from posebook.data.embedded import ASSETS
from posebook.data.formats.wheels import open_wheel
from posebook.data.rendered.surfaces import ASSET

WHEELS = {
    "scikit-image==0.26.0": "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
    "scikit-learn==1.9.1": "52a0703bbc07ad27f560fa63fa68e4c54dd735bfbbf65b4dd3c225dc7547b6df",
}
PIP_OPTIONS = (  # both differ by platform, so everyone takes the ones with these hashes
    *("--platform", "manylinux_2_28_x86_64", "--python-version", "3.11"),
    *("--implementation", "cp"),
)
# Where each picture lies and how wide it becomes, pixels.
PICTURES = {
    "coffee": ("scikit-image==0.26.0", "skimage/data/coffee.png", 420),
    "rocket": ("scikit-image==0.26.0", "skimage/data/rocket.jpg", 420),
    "chelsea": ("scikit-image==0.26.0", "skimage/data/chelsea.png", 420),
    "brick": ("scikit-image==0.26.0", "skimage/data/brick.png", 256),
    "grass": ("scikit-image==0.26.0", "skimage/data/grass.png", 256),
    "gravel": ("scikit-image==0.26.0", "skimage/data/gravel.png", 256),
    "china": ("scikit-learn==1.9.1", "sklearn/datasets/images/china.jpg", 520),
    "flower": ("scikit-learn==1.9.1", "sklearn/datasets/images/flower.jpg", 420),
}
QUALITY = 85


def shrink(content: bytes, width: int) -> np.ndarray:
    """The bytes (N,) of a JPEG of `width` pixels of the picture in `content`."""
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    height = round(picture.shape[0] * width / picture.shape[1])
    picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].reshape(-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", nargs="?", help="path of the scikit-image wheel")
    parser.add_argument("learn", nargs="?", help="path of the scikit-learn wheel")
    given = parser.parse_args()
    paths = dict(zip(WHEELS, (given.image, given.learn), strict=True))
    wheels = {
        requirement: open_wheel(paths[requirement], requirement, sha256, PIP_OPTIONS)
        for requirement, sha256 in WHEELS.items()
    }
    arrays = {}
    for name, (requirement, member, width) in PICTURES.items():
        arrays[name] = shrink(wheels[requirement].read(member), width)
        print(f"{name:8s} {len(arrays[name]) / 1000:5.1f} kB")
    digest = save_npz(ASSETS / ASSET, arrays)
    print(f"{ASSET}: {(ASSETS / ASSET).stat().st_size / 1000:.0f} kB, sha256 {digest}")


if __name__ == "__main__":
    main()
