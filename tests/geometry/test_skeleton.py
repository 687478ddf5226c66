"""Joint sets: what follows from the names is right, and unknown names are answered."""

import numpy as np
import pytest

from posebook.geometry.skeleton import H36M, JOINT_SETS, PCK3D_JOINTS, joint_set


def test_order_and_parents_are_those_of_the_field():
    assert len(H36M) == 17 and H36M.names[0] == "Hip" and H36M.names[16] == "RWrist"
    assert H36M.parents == (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)
    assert H36M.root == 0


def test_bones_form_a_tree_from_the_root():
    reached = {H36M.root}
    for parent, child in H36M.bones:
        assert parent in reached and child not in reached
        reached.add(child)
    assert reached == set(range(len(H36M)))


def test_flip_swaps_sides_and_nothing_else():
    flipped = [H36M.names[i] for i in H36M.flip]
    for name, other in zip(H36M.names, flipped, strict=True):
        assert name[1:] == other[1:] and {name[0], other[0]} in ({"L", "R"}, {name[0]})
    assert sum(a != b for a, b in zip(H36M.names, flipped, strict=True)) == 12
    np.testing.assert_array_equal(H36M.flip[H36M.flip], np.arange(17))


def test_flip_keeps_the_tree():
    for parent, child in H36M.bones:
        assert (H36M.flip[parent], H36M.flip[child]) in H36M.bones


def test_index_follows_the_order_asked_for():
    assert H36M.index("RWrist", "Hip") == [16, 0]


def test_index_names_the_missing_joint():
    with pytest.raises(ValueError, match="'h36m17' has no joint 'Neck'; it has Hip, RHip"):
        H36M.index("Hip", "Neck")


def test_pck3d_leaves_out_root_spine_and_face():
    left_out = {H36M.names[i] for i in set(range(17)) - set(PCK3D_JOINTS)}
    assert left_out == {"Hip", "Spine", "Nose"} and len(PCK3D_JOINTS) == 14


def test_joint_sets_are_found_by_name():
    assert all(joint_set(name) is known for name, known in JOINT_SETS.items())
    with pytest.raises(ValueError, match="unknown joint set 'coco'; known: body25, body25b"):
        joint_set("coco")
