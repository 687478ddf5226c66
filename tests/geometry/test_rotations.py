"""What is written out by hand is roma's, to the last bit."""

import pytest
import roma
import torch

from posebook.geometry.rotations import from_quaternion


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_quaternion_gives_the_matrix_that_roma_gives(dtype):
    q = torch.nn.functional.normalize(torch.randn(50, 7, 4, dtype=dtype), dim=-1)
    theirs = roma.unitquat_to_rotmat(roma.quat_wxyz_to_xyzw(q))
    assert torch.equal(from_quaternion(q), theirs)
    assert torch.equal(from_quaternion(q[0, 0]), theirs[0, 0])
