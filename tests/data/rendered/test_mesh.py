"""The body: bones that stay on the recorded joints, skin that follows them."""

import numpy as np
import pytest

from posebook.data.recorded.body import unit
from posebook.data.recorded.motion import load_motion
from posebook.data.rendered import mesh as m
from posebook.geometry.skeleton import H36M, joint_set


@pytest.fixture(scope="module")
def person() -> m.Mesh:
    build = np.zeros(len(m.SHAPES))
    build[[1, 5]] = 0.3, 0.7
    return m.make_mesh(build)


@pytest.fixture(scope="module")
def recorded() -> np.ndarray:
    """Some frames of all clips, (N, 17, 3)."""
    return np.concatenate([clip.joints[::20] for clip in load_motion()]).astype(float)


@pytest.fixture(scope="module")
def pose(person, recorded) -> m.Pose:
    return m.pose_mesh(person, recorded)


def test_it_is_the_size_of_a_person(person):
    a, b, c = person.vertices[person.faces].swapaxes(0, 1)
    volume = np.einsum("fi,fi->f", a, np.cross(b, c)).sum() / 6  # positive if faces look outwards
    assert 0.04 < volume < 0.12  # cubic metres
    height = np.ptp(person.vertices[:, 2])
    assert 1.55 < height < 1.85


def test_stature_scales_and_builds_mix():
    slim, heavy = np.eye(len(m.SHAPES))[[4, 6]]
    a, b = m.make_mesh(slim), m.make_mesh(heavy)
    both = m.make_mesh((slim + heavy) / 2)
    np.testing.assert_allclose(both.vertices, (a.vertices + b.vertices) / 2, atol=1e-12)
    taller = m.make_mesh(slim, stature=1.1)
    np.testing.assert_allclose(taller.joints, 1.1 * a.joints, atol=1e-12)


@pytest.mark.parametrize("build", [[1.0], [0.5] * 8, [2.0, -1.0] + [0.0] * 6])
def test_a_build_that_is_no_mixture_is_refused(build):
    with pytest.raises(ValueError, match="build must be 8 weights"):
        m.make_mesh(np.array(build))


def test_bones_turn_rigidly(pose):
    product = pose.turn @ pose.turn.swapaxes(-1, -2)
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(3), product.shape), atol=1e-9)
    assert (np.linalg.det(pose.turn) > 0.999).all()


def test_all_bones_that_meet_in_a_joint_agree_where_it_is(person, pose):
    """Hip and Thorax are left out: they lie between two joints, on no hinge."""
    joints = person.locate(pose)
    for k, (joint, bones) in enumerate(m.JOINT_BONES.items()):
        if joint not in ("Hip", "Thorax"):
            for bone in bones:
                b = m.BONES.index(bone)
                place = pose.turn[:, b] @ person.joints[k] + pose.shift[:, b]
                np.testing.assert_allclose(place, joints[:, k], atol=1e-9, err_msg=joint)


def test_limbs_point_where_they_were_recorded(person, pose, recorded):
    joints = person.locate(pose)
    mine = {name: joints[:, k] for k, name in enumerate(m.REST_JOINTS)}
    theirs = dict(zip(H36M.names, recorded.swapaxes(0, 1), strict=True))
    for a, b, c, d in (
        ("LHip", "LKnee", "LHip", "LKnee"),
        ("RKnee", "RAnkle", "RKnee", "RFoot"),
        ("LShoulder", "LElbow", "LShoulder", "LElbow"),
        ("RElbow", "RWrist", "RElbow", "RWrist"),
    ):
        np.testing.assert_allclose(
            unit(mine[b] - mine[a]), unit(theirs[d] - theirs[c]), atol=1e-6, err_msg=b
        )


def test_bones_keep_the_length_of_the_mesh(person, pose):
    joints = person.locate(pose)
    thigh = [m.REST_JOINTS.index(name) for name in ("LHip", "LKnee")]
    length = np.linalg.norm(joints[:, thigh[1]] - joints[:, thigh[0]], axis=-1)
    rest = np.linalg.norm(person.joints[thigh[1]] - person.joints[thigh[0]])
    np.testing.assert_allclose(length, rest, rtol=1e-9)


def test_skinning_is_the_weighted_mean_of_the_bones(person, pose):
    some = m.Pose(pose.turn[:3], pose.shift[:3])
    vertices, normals = person.skin(some)
    for v in (0, 400, 1200):
        literal = sum(
            person.weights[v, b] * (some.turn[:, b] @ person.vertices[v] + some.shift[:, b])
            for b in range(len(m.BONES))
        )
        np.testing.assert_allclose(vertices[:, v], literal, atol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-9)


def test_joints_lie_inside_the_body(person, pose):
    """Along any direction there is skin on both sides of an elbow or a knee, and it is near."""
    vertices, joints = person.skin(pose)[0], person.locate(pose)
    for name in ("LKnee", "RKnee", "LElbow", "RElbow"):
        offset = vertices - joints[:, [m.REST_JOINTS.index(name)]]
        near = np.linalg.norm(offset, axis=-1) < 0.15
        for n in range(len(pose)):
            around = offset[n, near[n]]
            assert (around.min(0) < 0).all() and (around.max(0) > 0).all()


def test_knees_bend_backwards(person):
    """A flexed knee's hinge is the body's left, whatever the thigh does."""
    walk = next(clip for clip in load_motion() if clip.name == "walk")
    pose = m.pose_mesh(person, walk.joints)
    pelvis, thigh = m.BONES.index("pelvis"), m.BONES.index("left thigh")
    left = np.einsum("ni,ni->n", pose.turn[:, pelvis, :, 0], pose.turn[:, thigh, :, 0])
    assert (left > 0.7).all()


def test_every_joint_set_is_known_to_the_mesh():
    for name, renamed in m.NAMES.items():
        for joint in joint_set(name).names:
            assert renamed.get(joint, joint) in m.REST_JOINTS


class TestTool:
    @pytest.fixture
    def tool(self, load_tool, monkeypatch, root):
        monkeypatch.syspath_prepend(str(root / "tools"))
        return load_tool("embed_body")

    def test_reads_an_obj_file(self, tool):
        text = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\ng square\nf 1/1 2/2 3/3 4/4\n"
        vertices, groups = tool.parse_obj(text)
        assert vertices.shape == (4, 3)
        assert groups == {"square": [(0, 1, 2, 3)]}
        assert tool.triangles(groups["square"]).tolist() == [[0, 1, 2], [0, 2, 3]]

    def test_decimation_keeps_flat_surfaces_and_corners(self, tool):
        """A finely meshed cube loses its flat parts and nothing else."""
        points, faces = _cube(6)
        kept = tool.decimate(points, faces, keep=8)
        corners = points[np.unique(kept)]
        assert len(corners) == 8
        assert set(np.unique(corners)) == {0.0, 1.0}
        a, b, c = points[kept].swapaxes(0, 1)
        assert np.einsum("fi,fi->f", a, np.cross(b, c)).sum() / 6 == pytest.approx(1, abs=1e-9)


def _cube(n: int) -> tuple[np.ndarray, np.ndarray]:
    """A unit cube's surface with n x n squares a side, as triangles that look outwards."""
    index: dict[tuple[int, int, int], int] = {}
    faces = []
    for axis in range(3):
        for end in (0, n):
            for i in range(n):
                for j in range(n):
                    quad = [_corner(axis, end, i + di, j + dj) for di, dj in _ROUND]
                    quad = quad if end else quad[::-1]
                    ids = [index.setdefault(q, len(index)) for q in quad]
                    faces += [(ids[0], ids[1], ids[2]), (ids[0], ids[2], ids[3])]
    return np.array(list(index)) / n, np.array(faces)


_ROUND = ((0, 0), (1, 0), (1, 1), (0, 1))


def _corner(axis: int, end: int, i: int, j: int) -> tuple[int, int, int]:
    point = [0, 0, 0]
    point[axis], point[(axis + 1) % 3], point[(axis + 2) % 3] = end, i, j
    return tuple(point)
