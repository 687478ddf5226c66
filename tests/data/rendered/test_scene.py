"""The surroundings: one wide picture of which frames are parts, and plates that pass."""

import cv2
import numpy as np
import pytest

from posebook.data.rendered import scene
from posebook.data.rendered.surfaces import GROUND, PHOTOGRAPHS, TEXTURE, WALL, photographs, surface
from posebook.geometry.camera import Camera


@pytest.fixture
def camera() -> scene.CameraPath:
    center = np.array([3.0, -2.0, 1.4])
    target = np.array([[0.0, 0.0, 1.0], [0.4, 0.2, 0.9], [0.1, -0.3, 1.1]])
    turn = scene.look_at(center, target, np.array([0.0, 0.1, -0.2]))
    return scene.CameraPath(turn, center, np.array([280.0, 300.0, 320.0]))


def test_a_camera_sees_its_target_in_the_centre_and_the_world_upright():
    center, target = np.array([3.0, -2.0, 1.4]), np.array([[0.0, 0.0, 1.0]])
    turn = scene.look_at(center, target, np.zeros(1))
    path = scene.CameraPath(turn, center, np.array([300.0]))
    pixels, depth = path.project(np.stack([target[0], target[0] + [0, 0, 0.3]])[None])
    np.testing.assert_allclose(pixels[0, 0], scene.CENTRE, atol=1e-9)
    assert depth[0, 0] == pytest.approx(np.linalg.norm(target[0] - center))
    assert pixels[0, 1, 0] == pytest.approx(scene.CENTRE[0]) and pixels[0, 1, 1] < scene.CENTRE[1]


def test_projects_as_the_cameras_of_chapter_3(camera):
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (3, 7, 3)) + [0, 0, 1]
    pixels, depth = camera.project(points)
    for n in range(3):
        focal = np.full(2, camera.focal[n])
        size = (scene.WIDTH, scene.HEIGHT)
        one = Camera("c", camera.turn[n], camera.center, focal, scene.CENTRE, size)
        np.testing.assert_allclose(pixels[n], one.project(points[n]), atol=1e-9)
        np.testing.assert_allclose(depth[n], one.to_camera(points[n])[:, 2], atol=1e-9)


def test_a_frame_is_the_right_part_of_the_backdrop(camera):
    """A point far away has the same colour in the wide picture and in every frame."""
    rng = np.random.default_rng(1)
    backdrop = scene.make_backdrop(camera, np.array([0.0, 0.0, 1.0]), rng)
    smooth = cv2.GaussianBlur(backdrop.picture, (0, 0), 6)
    backdrop = scene.Backdrop(smooth, backdrop.turn, backdrop.focal, backdrop.centre)
    for n, H in enumerate(backdrop.homographies(camera)):
        direction = camera.turn[n].T @ [0.1, -0.05, 1.0]
        pixel = scene.CENTRE + camera.focal[n] * np.array([0.1, -0.05])
        seen = backdrop.turn @ direction
        place = seen[:2] / seen[2] * backdrop.focal + backdrop.centre
        np.testing.assert_allclose((H @ [*pixel, 1])[:2] / (H @ [*pixel, 1])[2], place, atol=1e-9)
        x, y = np.rint(pixel).astype(int)
        u, v = np.rint(place).astype(int)
        difference = backdrop.frame(H)[y, x].astype(int) - smooth[v, u]
        assert np.abs(difference).max() <= 12


def test_surfaces_are_the_same_every_time():
    for kind in set(GROUND + WALL):
        picture = surface(kind, 0)
        assert picture.shape == (TEXTURE, TEXTURE, 3) and picture.dtype == np.uint8
        surface.cache_clear()
        np.testing.assert_array_equal(picture, surface(kind, 0))


def test_embedded_pictures():
    pictures = photographs()
    assert set(pictures) == {*PHOTOGRAPHS, "brick", "grass", "gravel"}
    assert all(p.dtype == np.uint8 and p.shape[2] == 3 for p in pictures.values())


@pytest.fixture
def way() -> np.ndarray:
    """Somebody who stands still at 100 instants."""
    return np.tile([0.0, 0.0, 1.0], (100, 1))


TIME = np.arange(100) / 5  # frames


def test_plates_cross_between_camera_and_person(way):
    center = np.array([4.0, 0.0, 1.5])
    plates = scene.make_occluders(way, TIME, center, 3, np.random.default_rng(0))
    assert plates.corners.shape == (100, 3, 4, 3) and len(plates) == 3
    middle = plates.corners.mean(2)
    assert (middle[..., 0] > 0.5).all() and (middle[..., 0] < 3.5).all()  # in between
    for p in range(3):
        side = middle[:, p, 1]
        assert side.min() < 0.05 and side.max() > -0.05  # passes the line of sight
        assert (np.diff(side) > 0).all() or (np.diff(side) < 0).all()


def test_plates_of_a_still_hardly_move(way):
    center = np.array([4.0, 0.0, 1.5])
    random = np.random.default_rng(0)
    plates = scene.make_occluders(way[:5], TIME[:5], center, 2, random, still=True)
    assert np.abs(np.diff(plates.corners, axis=0)).max() < 0.01


def test_no_plates(way):
    plates = scene.make_occluders(way, TIME, np.array([4.0, 0.0, 1.5]), 0, np.random.default_rng(0))
    assert len(plates) == 0 and plates.faces.shape == (0, 3)


def test_the_tool_shrinks_a_picture(load_tool, monkeypatch, root):
    monkeypatch.syspath_prepend(str(root / "tools"))
    tool = load_tool("embed_backgrounds")
    picture = np.full((40, 80, 3), 120, np.uint8)
    content = cv2.imencode(".png", picture)[1].tobytes()
    small = cv2.imdecode(tool.shrink(content, 20), cv2.IMREAD_COLOR)
    assert small.shape == (10, 20, 3) and np.abs(small.astype(int) - 120).max() <= 2
