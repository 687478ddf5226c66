"""The renderer: depth order, labels that fit the picture, and what hides a joint."""

from dataclasses import replace

import numpy as np
import pytest

from posebook.data.rendered import render as r
from posebook.data.rendered import scene
from posebook.data.rendered.mesh import BONES, REST_JOINTS, Pose
from posebook.data.rendered.rasterize import NEAR, depth_at, draw, face_at, weights_at
from posebook.data.rendered.surfaces import surface
from posebook.data.rendered.take import MIDDLE, SAMPLES, Sensor, Take
from posebook.data.rendered.takes import clip_take
from posebook.data.rendered.truth import (
    blur_lengths,
    box_of,
    joint_paths,
    motion_between,
    speeds,
    visibility,
)

SHAPE = (1, 40, 50)


def drawn(pixels, depth, faces, first=0):
    buffer = np.zeros(SHAPE, np.int64)
    draw(buffer, np.asarray(pixels, float)[None], np.asarray(depth, float)[None], faces, first)
    return buffer[0]


@pytest.fixture(scope="module")
def take() -> Take:
    """Three frames of a clip, without anything in front."""
    take = clip_take("B00-05", (3, 3))[0]
    return replace(take, plates=_plates(len(take.pose), []))


def _plates(instants: int, corners: list) -> scene.Occluders:
    corners = np.array(corners, float).reshape(-1, 4, 3)
    textures = tuple(surface("plaster", 0) for _ in corners)
    return scene.Occluders(np.tile(corners, (instants, 1, 1, 1)), textures)


class TestTriangles:
    def test_covers_what_lies_inside_three_edges(self):
        rng = np.random.default_rng(0)
        y, x = np.mgrid[: SHAPE[1], : SHAPE[2]]
        for _ in range(50):
            corners = rng.uniform(-10, 60, (3, 2))
            faces = np.array([[0, 1, 2], [0, 2, 1]])  # one of the two is seen
            a, b, c = corners
            sides = [
                (q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0])
                for p, q in ((a, b), (b, c), (c, a))
            ]
            inside = np.all([s > 0 for s in sides], 0) | np.all([s < 0 for s in sides], 0)
            buffer = drawn(corners, np.ones(3), faces)
            np.testing.assert_array_equal(face_at(buffer) >= 0, inside)

    def test_what_faces_away_is_not_drawn(self):
        corners = [[5, 5], [40, 5], [20, 35]]
        clockwise, counter = np.array([[0, 1, 2]]), np.array([[0, 2, 1]])  # y points down
        assert (face_at(drawn(corners, [1, 1, 1], counter)) >= 0).any()
        assert not (face_at(drawn(corners, [1, 1, 1], clockwise)) >= 0).any()

    def test_the_body_is_seen_from_outside(self, take):
        """Each point that is drawn has the body's inside behind it: its normal looks at us."""
        seen = r.see(take, slice(MIDDLE, MIDDLE + 1))
        front = face_at(seen.body[0])
        corner = take.mesh.faces[front[front >= 0]]
        normal = seen.normals[0][corner].mean(1)
        to_camera = take.camera.center - seen.vertices[0][corner].mean(1)
        assert ((normal * to_camera).sum(-1) > 0).mean() > 0.97

    def test_too_near_is_not_drawn(self):
        corners, face = [[5, 5], [40, 5], [20, 35]], np.array([[0, 2, 1]])
        assert not drawn(corners, [1, 1, NEAR / 2], face).any()

    def test_the_nearest_wins_where_two_pass_through_each_other(self):
        """Two walls that cross: left of the middle one is nearer, right of it the other."""
        square = np.array([[0, 0], [49, 0], [49, 39], [0, 39]], float)
        faces = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])[:, ::-1]
        left, right = 1.0, 3.0
        depth = [left, right, right, left, right, left, left, right]
        front = face_at(drawn(np.concatenate([square, square]), depth, faces))
        assert set(front[:, :24].ravel()) == {0, 1}
        assert set(front[:, 26:].ravel()) == {2, 3}

    def test_the_order_of_the_faces_does_not_matter(self):
        rng = np.random.default_rng(1)
        pixels, depth = rng.uniform(0, 50, (30, 2)), rng.uniform(1, 3, 30)
        faces = rng.permuted(np.tile(np.arange(30), (40, 1)), axis=1)[:, :3]
        order = rng.permutation(40)
        one = face_at(drawn(pixels, depth, faces))
        other = face_at(drawn(pixels, depth, faces[order]))
        np.testing.assert_array_equal(one, np.where(other >= 0, order[other], -1))

    def test_depth_is_that_of_the_plane(self):
        """In perspective 1 / z is linear: a floor, seen at an angle."""
        pixels, depth = [[0, 0], [48, 0], [24, 36]], [2.0, 2.0, 4.0]
        buffer = drawn(pixels, depth, np.array([[0, 2, 1]]))
        assert depth_at(buffer)[18, 24] == pytest.approx(1 / ((1 / 2 + 1 / 4) / 2), rel=1e-6)
        assert np.isinf(depth_at(buffer)[39, 0])

    def test_weights_give_the_point_in_space(self):
        rng = np.random.default_rng(2)
        points = rng.uniform(-1, 1, (20, 3, 3)) + [0, 0, 4]
        pixels = points[..., :2] / points[..., 2:] * 100
        truth = rng.dirichlet(np.ones(3), 20)
        inside = np.einsum("nk,nkc->nc", truth, points)
        x, y = (inside[:, :2] / inside[:, 2:] * 100).T
        found = weights_at(pixels, points[..., 2], x, y)
        np.testing.assert_allclose(found, truth, atol=1e-9)


def _wall(take: Take, share: float, size: float) -> list:
    """A square plate across the line of sight, at `share` of the way from person to camera."""
    person = take.mesh.locate(take.pose)[5 * SAMPLES // 2].mean(0)
    middle = person + share * (take.camera.center - person)
    turn = take.camera.turn[0]
    square = np.array([[-1, 1], [1, 1], [1, -1], [-1, -1]]) * size / 2
    return [middle + x * turn[0] + y * turn[1] for x, y in square]


def _marks(take: Take, frame: int = 1):
    pixels, depth = joint_paths(take)
    seen = r.see(take, slice(frame * SAMPLES + MIDDLE, frame * SAMPLES + MIDDLE + 1))
    joints, z = pixels[frame, MIDDLE], depth[frame, MIDDLE]
    return visibility(take, joints, z, seen.body[0], seen.all[0])


class TestLabels:
    def test_a_plate_in_front_covers_every_joint(self, take):
        hidden = replace(take, plates=_plates(len(take.pose), [_wall(take, 0.4, 6.0)]))
        visible, covered, inside = _marks(hidden)
        assert inside.all() and covered.all() and not visible.any()

    def test_a_plate_behind_covers_none(self, take):
        behind = replace(take, plates=_plates(len(take.pose), [_wall(take, -0.4, 6.0)]))
        free, moved = _marks(take), _marks(behind)
        assert not moved[1].any()
        np.testing.assert_array_equal(free[0], moved[0])

    def test_a_small_plate_covers_what_is_behind_it(self, take):
        pixels, depth = joint_paths(take)
        knee = REST_JOINTS.index("LKnee")
        person = take.mesh.locate(take.pose)[SAMPLES + MIDDLE, knee]
        middle = person + 0.4 * (take.camera.center - person)
        turn = take.camera.turn[0]
        square = np.array([[-1, 1], [1, 1], [1, -1], [-1, -1]]) * 0.02
        corners = [middle + x * turn[0] + y * turn[1] for x, y in square]
        small = replace(take, plates=_plates(len(take.pose), [corners]))
        covered = _marks(small)[1]
        place = pixels[1, MIDDLE]
        far = np.linalg.norm(place - place[knee], axis=-1) > 10
        assert covered[knee] and not covered[far].any()

    def test_joints_lie_on_the_drawn_body(self, take):
        """Nearly all joints' pixels are covered by the body; an elbow may lie just at its edge."""
        pixels, _ = joint_paths(take)
        for frame in range(len(take)):
            seen = r.see(take, slice(frame * 5 + 2, frame * 5 + 3))
            column, row = np.rint(pixels[frame, MIDDLE]).astype(int).T
            assert (face_at(seen.body[0])[row, column] >= 0).mean() > 0.9

    def test_the_box_is_that_of_the_mask(self, take):
        mask = np.zeros((scene.HEIGHT, scene.WIDTH), np.int64)
        mask[20:61, 100:121] = 1
        assert box_of(mask).tolist() == [99.5, 19.5, 120.5, 60.5]
        assert np.isnan(box_of(mask * 0)).all()

    def test_the_far_side_of_the_body_is_hidden(self, take):
        """Seen from the left, a standing person's right shoulder is behind the trunk."""
        still = np.tile(np.eye(3), (SAMPLES, len(BONES), 1, 1))
        pose = Pose(still, np.zeros((SAMPLES, len(BONES), 3)))
        joints = dict(zip(REST_JOINTS, take.mesh.joints, strict=True))
        across = joints["LShoulder"] - joints["RShoulder"]
        center = joints["RShoulder"] + across / np.linalg.norm(across) * 4
        target = np.tile(joints["RShoulder"], (SAMPLES, 1))
        turn = scene.look_at(center, target, np.zeros(SAMPLES))
        camera = scene.CameraPath(turn, center, np.full(SAMPLES, 300.0))
        side = replace(take, pose=pose, camera=camera, plates=_plates(SAMPLES, []))
        visible = dict(zip(REST_JOINTS, _marks(side, 0)[0], strict=True))
        assert visible["LShoulder"] and not visible["RShoulder"]


def test_blur_and_speed_of_a_straight_motion():
    """3 pixels a frame, shutter open for half of the time: a trail of 1.5 pixels."""
    time = np.arange(4)[:, None] + ((np.arange(SAMPLES) + 0.5) / SAMPLES - 0.5) * 0.5
    pixels = np.stack([3 * time, 0 * time], axis=-1)[:, :, None]
    np.testing.assert_allclose(blur_lengths(pixels), 1.5)
    np.testing.assert_allclose(speeds(pixels[:, MIDDLE]), 3)
    np.testing.assert_allclose(speeds(pixels[:1, MIDDLE]), 0)


class TestPicture:
    def test_the_same_take_gives_the_same_picture(self, take):
        np.testing.assert_array_equal(r.expose(take, 1)[0], r.expose(take, 1)[0])

    def test_the_body_changes_only_pixels_near_it(self, take):
        """Apart from shadow and lens, everything outside the mask is the backdrop."""
        plain = replace(
            take, light=replace(take.light, shadow=0.0), film=Sensor(0.0, 0.0, 1.0, 1.0, 90)
        )
        picture, seen = r.expose(plain, 1)
        away = replace(plain, pose=Pose(plain.pose.turn, plain.pose.shift + [0, 0, -50.0]))
        empty, _ = r.expose(away, 1)
        covered = (face_at(seen.body) >= 0).any(0)
        np.testing.assert_array_equal(picture[~covered], empty[~covered])
        assert (picture[covered] != empty[covered]).any(-1).mean() > 0.9

    def test_jpeg_round_trip_and_its_errors(self, take):
        clean = replace(take, film=replace(take.film, noise=0.0))
        picture = r.expose(clean, 0)[0]
        again = r.decode(r.encode(picture, 95))
        assert again.shape == picture.shape and again.dtype == np.uint8
        assert np.abs(again.astype(int) - picture).mean() < 4
        with pytest.raises(ValueError, match="no picture"):
            r.decode(b"not a picture")


class TestFlow:
    def test_nothing_moves(self, take):
        still = replace(
            take,
            pose=Pose(*(np.repeat(x[:1], 15, 0) for x in (take.pose.turn, take.pose.shift))),
            camera=take.camera.take(np.zeros(15, int)),
        )
        np.testing.assert_allclose(motion_between(still, 0), 0, atol=1e-6)

    def test_joints_move_with_the_surface_around_them(self, take):
        """Where the trunk is seen, the flow is about that of the joints inside it."""
        pixels, _ = joint_paths(take)
        flow = motion_between(take, 0)
        belly = REST_JOINTS.index("Belly")
        now, then = pixels[0, MIDDLE, belly], pixels[1, MIDDLE, belly]
        x, y = np.rint(now).astype(int)
        np.testing.assert_allclose(flow[y, x], then - now, atol=2.0)

    def test_the_surroundings_move_with_the_camera(self, take):
        flow = motion_between(take, 0)
        H = take.backdrop.homographies(take.camera)
        corner = np.array([0.0, 0.0, 1.0])
        there = np.linalg.inv(H[MIDDLE + SAMPLES]) @ H[MIDDLE] @ corner
        np.testing.assert_allclose(flow[0, 0], there[:2] / there[2], atol=1e-6)
