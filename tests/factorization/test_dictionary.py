"""The hierarchical dictionary: closed forms of its lines, rotations, structure from motion."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch.autograd import gradcheck

from posebook.factorization import losses, mirror
from posebook.factorization.dictionary import (
    Dictionary,
    EncoderDecoder,
    level_sizes,
    load_dictionary,
    principal_components,
    save_dictionary,
)
from posebook.factorization.pictures import normalize
from posebook.geometry.rotations import hat, nearest_rotation, rotation  # fmt: skip
from posebook.geometry.skeleton import H36M
from posebook.metrics import pose3d as metrics
from posebook.training.draws import draw
from posebook.training.loop import Schedule, fit


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# ---------------------------------------------------------------- rotations


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4, 0.03, 0.032, 1.0, np.pi, 4.0, 2 * np.pi])
def test_rodrigues_is_the_matrix_exponential(angle):
    axis = random(20, 3)
    omega = angle * axis / axis.norm(dim=1, keepdim=True)
    torch.testing.assert_close(rotation(omega), torch.matrix_exp(hat(omega)), rtol=0, atol=1e-12)
    expected = Rotation.from_rotvec(omega.numpy()).as_matrix()
    np.testing.assert_allclose(rotation(omega), expected, atol=1e-12)


@pytest.mark.parametrize("angle", [0.0, 1e-7, 2e-6, 0.0316, 0.0317, 1.0, np.pi])
def test_rodrigues_has_a_correct_gradient_everywhere(angle):
    omega = angle * torch.tensor([[2.0, -1.0, 2.0]], dtype=torch.float64) / 3
    assert gradcheck(rotation, omega.requires_grad_(True))


def test_the_gradient_at_no_rotation_is_finite_in_single_precision():
    omega = torch.zeros(2, 3, requires_grad=True)
    rotation(omega).square().sum().backward()
    assert torch.isfinite(omega.grad).all()


def test_the_nearest_rotation_is_that_of_the_svd():
    M = random(30, 3, 2)
    U, _, Vt = torch.linalg.svd(M, full_matrices=False)
    R = nearest_rotation(M)
    torch.testing.assert_close(R[..., :2], U @ Vt)
    torch.testing.assert_close(torch.linalg.det(R), torch.ones(30, dtype=torch.float64))


def test_the_nearest_rotation_has_a_gradient_where_singular_values_are_equal():
    M = (2 * nearest_rotation(random(2, 3, 2)))[..., :2].clone().requires_grad_(True)
    assert gradcheck(nearest_rotation, M)


# ---------------------------------------------------------------- equations 4.5 and 4.6


def test_level_sizes_are_those_of_deep_nrsfm():
    assert level_sizes() == (125, 114, 104, 93, 83, 72, 62, 51, 41, 30, 20, 10)


@pytest.fixture
def model():
    """A small encoder-decoder, no part of which is trivial, in double precision."""
    torch.manual_seed(0)
    model = EncoderDecoder(Dictionary((6, 5, 4), joints=17), "svd").double()
    with torch.no_grad():
        for bias in (*model.biases, *model.dictionary.biases):
            bias.copy_(0.1 * torch.randn_like(bias))
    return model


def test_the_encoder_is_equation_4_5_with_kronecker_products(model):
    X = random(3, 17, 2)
    D = [level.detach().numpy() for level in model.dictionary.D]
    b = [bias.detach().numpy() for bias in model.biases]
    ones = np.ones((3, 2))
    for x, Psi in zip(X.numpy(), model.encode(X), strict=True):
        sharp = D[0].transpose(0, 2, 1).reshape(17, -1)  # P x 3 K_1: three columns an atom
        psi = np.maximum(sharp.T @ x - np.kron(b[0][:, None], ones), 0)
        for level, bias in zip(D[1:], b[1:], strict=True):
            psi = np.maximum(np.kron(level, np.eye(3)).T @ psi - np.kron(bias[:, None], ones), 0)
        np.testing.assert_allclose(Psi.permute(2, 0, 1).flatten(0, 1).detach(), psi, atol=1e-12)


def test_the_decoder_is_equation_4_6(model):
    phi = random(3, 4)
    D = [level.detach().numpy() for level in model.dictionary.D]
    b = [bias.detach().numpy() for bias in model.dictionary.biases]
    for code, Y in zip(phi.numpy(), model.dictionary(phi), strict=True):
        for level, bias in zip(D[:0:-1], b[::-1], strict=True):
            code = np.maximum(level @ code - bias, 0)
        sharp = D[0].transpose(0, 2, 1).reshape(17, -1)
        expected = sharp @ np.kron(code[:, None], np.eye(3))
        np.testing.assert_allclose(Y.detach(), expected - expected[H36M.root], atol=1e-12)


def test_encoder_and_decoder_share_the_dictionary(model):
    names = [name for name, _ in model.named_parameters()]
    assert sum(".D." in name for name in names) == 3
    assert len(names) == 3 + 3 + 2 + 2 + 1  # levels, biases up and down, code head, camera


def test_turning_the_picture_turns_the_camera_of_the_svd_head():
    # In-plane rotations act on M from the right. Without ReLU the encoder is linear in X.
    M, turn = random(5, 3, 2), torch.tensor([[0.6, 0.8], [-0.8, 0.6]], dtype=torch.float64)
    torch.testing.assert_close(
        nearest_rotation(M @ turn)[..., :2], nearest_rotation(M)[..., :2] @ turn
    )


def test_an_unknown_camera_head_is_refused():
    with pytest.raises(ValueError, match="unknown camera head 'other'; known: linear"):
        EncoderDecoder(Dictionary((4,)), "other")


@pytest.mark.parametrize("head", ["linear", "two-layer", "svd"])
def test_every_head_gives_rotations_and_gradients(head):
    torch.manual_seed(0)  # the encoder's camera must have rank two, as with most weights
    model = EncoderDecoder(Dictionary((8, 4)), head)
    Y_hat, R = model(torch.randn(5, 17, 2))
    assert Y_hat.shape == (5, 17, 3) and not Y_hat[:, 0].any()
    torch.testing.assert_close(R @ R.mT, torch.eye(3).expand(5, 3, 3), atol=1e-5, rtol=0)
    losses.structure_from_motion(Y_hat, R, torch.randn(5, 17, 2)).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


# ---------------------------------------------------------------- structure from motion


def test_structure_from_motion_recovers_a_low_rank_body():
    """Bodies that vary in one way, seen from anywhere: shape to 2 %, up to the mirror."""
    generator = torch.Generator().manual_seed(0)
    mean, mode = torch.randn(2, 17, 3, generator=generator)
    amount = 0.5 * torch.randn(2500, 1, 1, generator=generator)
    turn = torch.as_tensor(Rotation.random(2500, rng=0).as_matrix(), dtype=torch.float32)
    Y = metrics.root_relative(mean + 0.5 * amount * mode) @ turn
    X, size = normalize(Y[..., :2])
    Y = Y / size[:, None, None]
    train, test = slice(0, 2200), slice(2200, None)
    torch.manual_seed(0)
    model = EncoderDecoder(Dictionary(level_sizes(64, 8, 2)), "svd")

    def loss(step):
        at = torch.randint(2200, (128,), generator=draw(0, step))
        return losses.structure_from_motion(*model(X[train][at]), X[train][at]), {}

    fit(model, loss, Schedule(900, 1e-2, max_norm=1.0))
    with torch.inference_mode():
        Y_hat, R = model(X[test])
    pose = Y_hat @ R
    errors = [relative_error(Q, Y[test]) for Q in (pose, mirror.mirror_shape(pose))]
    assert min(errors) < 0.02 < 0.1 < max(errors)


def relative_error(pose, target):
    error = (metrics.procrustes_align(pose, target) - target).norm(dim=(1, 2))
    return float((error / target.norm(dim=(1, 2))).mean())


def test_principal_components_span_the_poses():
    poses = (random(1, 51) + random(200, 4) @ random(4, 51, seed=1)).unflatten(1, (17, 3))
    dictionary = principal_components(poses, share=1 - 1e-9).double()
    assert dictionary.sizes == (5,)
    assert not any(p.requires_grad for p in dictionary.parameters())
    atoms = dictionary.D[0].flatten(0, 1)
    codes = torch.linalg.lstsq(atoms, poses.flatten(1).T).solution.T
    torch.testing.assert_close(dictionary(codes), poses - poses[:, :1], atol=1e-5, rtol=0)


# ---------------------------------------------------------------- files


def test_a_dictionary_survives_its_file(tmp_path):
    first, second = EncoderDecoder(Dictionary((6, 4))), EncoderDecoder(Dictionary((6, 4)))
    save_dictionary(tmp_path / "d.pt", first, seconds=1.5)
    assert load_dictionary(tmp_path / "d.pt", second) == {"seconds": 1.5}
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters()))
    assert [p.name for p in tmp_path.iterdir()] == ["d.pt"]


def test_a_dictionary_of_other_sizes_is_refused(tmp_path):
    save_dictionary(tmp_path / "d.pt", EncoderDecoder(Dictionary((6, 4))))
    with pytest.raises(ValueError, match=r"d\.pt: .* levels of \[6, 4\] atoms, .* wants \[8, 4\]"):
        load_dictionary(tmp_path / "d.pt", EncoderDecoder(Dictionary((8, 4))))


def test_a_dictionary_of_other_joints_is_refused(tmp_path):
    model = EncoderDecoder(Dictionary((6, 4)))
    save_dictionary(tmp_path / "d.pt", model)
    state = torch.load(tmp_path / "d.pt", weights_only=True)
    torch.save(state | {"joints": ["Head", "Neck"]}, tmp_path / "d.pt")
    with pytest.raises(ValueError, match=r"is for the joints Head, Neck, not for .* h36m17"):
        load_dictionary(tmp_path / "d.pt", model)


@pytest.mark.parametrize("damage", ["empty", "other", "another kind", "one byte"])
def test_a_file_that_is_no_dictionary_is_refused(tmp_path, damage):
    model, path = EncoderDecoder(Dictionary((6, 4))), tmp_path / "d.pt"
    save_dictionary(path, model)
    whole = path.read_bytes()
    if damage == "another kind":
        torch.save({"model": {}}, path)
    elif damage == "one byte":  # of a weight: torch itself reads another one without a word
        at = whole.index(model.state_dict()["dictionary.D.0"].numpy().tobytes()[:16])
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    else:
        path.write_bytes({"empty": b"", "other": b"not a checkpoint"}[damage])
    with pytest.raises(ValueError, match=r"d\.pt is damaged, or no checkpoint .*; delete it"):
        load_dictionary(path, model)
