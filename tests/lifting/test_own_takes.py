"""Takes of one's own, most without 3D poses, through what chapter 3 offers: what a row says is done
or refused, saved work is never another's, and what nobody saw is marked."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from posebook import lifting
from posebook.data.done import only_embedded
from posebook.data.recorded.views import ViewsSize, make_views
from posebook.data.views import collect
from posebook.data.virtual import recover_rigs, triangulate_labels
from posebook.experiments import catalogue
from posebook.experiments.catalogue import settings
from posebook.geometry.camera import Camera
from posebook.lifting.evaluate import errors, evaluate, predict
from posebook.lifting.implicit import implicit_labels
from posebook.lifting.prepare import build, load, prepare_takes
from posebook.lifting.rows import PROFILES, VARIANTS, Variant
from posebook.training.draws import seed_everything

SIZE = replace(PROFILES["smoke"], steps=3, pretraining_steps=2, batch=32)


def bare(take):
    return replace(take, joints_3d=None, occluded=None)


@pytest.fixture(scope="module")
def known():
    """Takes of one person with 3D poses."""
    train, _ = make_views(ViewsSize(1, 12, 1))
    return [s for s in train if s.subject == "S1"][:6]


@pytest.fixture(scope="module")
def own(known):
    return [bare(take) for take in known]


def unseen(take, frames, views=slice(None)):
    """The take with nobody found in some frames of some views."""
    joints, confidence = take.joints_2d.copy(), take.confidence.copy()
    joints[frames, views], confidence[frames, views] = 0, 0
    return replace(take, joints_2d=joints, confidence=confidence)


def trained(views, row, seed=0, size=SIZE, folder=None, start=0):
    """The weights after a short training, one vector, and the loss curve."""
    seed_everything(start)
    model = build(size, row)
    curves = lifting.train.train(model, views, size, row, seed, folder)
    return torch.cat([value.flatten() for value in model.state_dict().values()]), curves["loss"]


# ---------------------------------------------------------------- saved work


def moved(take):
    """The same pictures by cameras that stand elsewhere: the rays of each view stay the same."""
    cameras = tuple(
        replace(c, center=c.center + [0.0, 0.0, v]) for v, c in enumerate(take.cameras)
    )
    return replace(take, cameras=cameras)


CHANGES = {
    "takes": lambda own: {"views": collect(own[3:])},
    "rig": lambda own: {"views": collect([moved(s) for s in own[:3]], trust="residual")},
    "confidences": lambda own: {
        "views": collect([replace(s, confidence=s.confidence**2) for s in own[:3]])
    },
    "seed": lambda own: {"seed": 5},
    "loss": lambda own: {"row": Variant(loss="reproj")},
    "profile": lambda own: {"size": replace(SIZE, learning_rate=1e-3)},
    "first weights": lambda own: {"start": 1},
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("row", [Variant(), Variant(pretrained=True)], ids=["one", "two stages"])
def test_the_same_folder_never_gives_the_weights_of_another_training(change, row, own, tmp_path):
    views = collect(own[:3])
    first, curve = trained(views, row, folder=tmp_path)
    files = {path: path.read_bytes() for path in tmp_path.glob("*.pt")}
    asked = {"views": views, "row": row} | CHANGES[change](own)
    with pytest.raises(ValueError, match="belongs to a run with other .* use another folder"):
        trained(**asked, folder=tmp_path)
    assert {path: path.read_bytes() for path in files} == files
    assert not torch.equal(trained(**asked)[0], first)  # without a folder it is another training
    again, same = trained(views, row, folder=tmp_path)
    assert torch.equal(again, first) and same == curve


def test_another_vertical_is_another_training_of_samples_that_turn_about_it(known, tmp_path):
    """As of a calibration whose z pointed down: rays, poses and relative cameras stay."""
    row, views = VARIANTS["supervised-augmented-flip"], collect(known[:3])
    first, _ = trained(views, row, folder=tmp_path)
    other = replace(views, up=views.up.roll(1, -1))
    assert not torch.equal(trained(other, row)[0], first)
    with pytest.raises(ValueError, match="belongs to a run with other"):
        trained(other, row, folder=tmp_path)


# ---------------------------------------------------------------- no option without effect


def answer(row, views_of):
    try:
        return trained(views_of(row), row)[0]
    except ValueError as error:
        return str(error)


ASKED = {
    "trans-reproj-da-triangulated": None,
    "recovered-cameras": None,
    "triangulated-labels": None,
    "weight-target": None,
    "root-ray": None,
    "trans-reproj-da": "has no joints_3d to project; use the triangulated form",
    "trans-reproj-strong-occlusion": "noise='strong-occlusion' is made with the embedded takes",
    "trans-reproj-long-takes": "long_takes=True is made with the embedded takes",
    "trans-reproj-unseen-actions": "split='actions' is made with the embedded takes",
    "supervised": "have no 3D poses, and the row learns from them; choose",
}


@pytest.mark.parametrize("name", ASKED)
def test_a_row_on_own_takes_differs_or_is_refused(name, own):
    plain = trained(collect(own), Variant())[0]
    found = answer(VARIANTS[name], lambda row: prepare_takes(own, row))
    if ASKED[name]:
        assert ASKED[name] in found
    else:
        assert found.shape != plain.shape or not torch.equal(found, plain)


UNPREPARED = {
    "views": ("trans-reproj-da", "trans-reproj-da-triangulated"),
    "cameras": ("recovered-cameras",),
    "labels": ("triangulated-labels", "triangulated-labels-weighted"),
    "noise": ("trans-reproj-strong-occlusion",),
    "split": ("trans-reproj-unseen-actions",),
    "long_takes": ("trans-reproj-long-takes",),
}
GENERATED = "noise", "split", "long_takes"  # with the embedded takes alone


@pytest.mark.parametrize(
    ("option", "name"), [(o, name) for o, names in UNPREPARED.items() for name in names]
)
def test_views_that_are_not_as_the_row_says_are_refused(option, name, known):
    found = answer(VARIANTS[name], lambda _: collect(known))
    remedy = "no others can be" if option in GENERATED else "prepare_takes(takes, variant)"
    assert f"the row wants {option}=" in found and remedy in found


def test_what_was_done_and_is_not_asked_for_is_refused_too(known):
    views = collect(known)
    for done in (
        recover_rigs(views),
        prepare_takes(known, VARIANTS["trans-reproj-da"]),
    ):
        assert "the row wants" in answer(Variant(), lambda _, done=done: done)
    weighted = triangulate_labels(views, known, weighted=True)
    for name in ("supervised", "triangulated-labels"):
        found = answer(VARIANTS[name], lambda _: weighted)
        assert "its takes have labels='weighted'" in found


def test_embedded_takes_are_as_their_row_says():
    for name in ("trans-reproj-long-takes", "trans-reproj-unseen-actions"):
        views, _ = load(SIZE, VARIANTS[name])
        lifting.prepare.check_prepared(views, VARIANTS[name])
        with pytest.raises(ValueError, match="the row wants"):
            lifting.prepare.check_prepared(views, Variant())


@pytest.mark.parametrize("dataset", ["human36m", "mpi-inf-3dhp"])
def test_rows_that_only_embedded_takes_can_have_are_no_rows_of_other_data(dataset):
    every, mine = catalogue.rows("embedded-views"), catalogue.rows(dataset)
    assert {every[name].variant for name in every.keys() - mine.keys()} == {
        row.variant for row in every.values()
        if only_embedded(catalogue.CHAPTERS[row.chapter].VARIANTS[row.variant])
    }  # fmt: skip
    assert "table-3.3/trans-reproj-uniform-noise" in every.keys() - mine.keys()
    with pytest.raises(ValueError, match=f"noise='none' .* cannot be given to {dataset}"):
        load(SIZE, Variant(noise="none"), dataset=dataset)


# ---------------------------------------------------------------- keys


@pytest.fixture(scope="module")
def two_days():
    """One person on two days; on the second each camera has stepped back by 2 m."""
    train, _ = make_views(ViewsSize(1, 40, 1), noise="none")
    takes = [s for s in train if s.subject == "S1"][:8]

    def film(take, back):
        rig = tuple(
            Camera(c.name, c.R, c.center - back * c.R[2], c.focal, c.principal, c.resolution)
            for c in take.cameras
        )
        pixels = np.stack([c.project(take.joints_3d.astype(float)) for c in rig], 1)
        return replace(take, joints_2d=pixels.astype(np.float32), cameras=rig, subject="anna")

    return [film(take, back) for back in (0.0, 2.0) for take in takes]


def test_two_days_of_one_person_are_two_rigs(two_days):
    views = collect(two_days)
    found = recover_rigs(views)
    for g, rig in enumerate((two_days[0].cameras, two_days[-1].cameras)):
        distance = np.linalg.norm(rig[0].center - rig[1].center)
        assert float(found.t[g, 0, 1].norm()) == pytest.approx(distance, abs=1e-3)
    assert not torch.allclose(found.t[0], found.t[1], atol=0.1)


def test_implicit_labels_of_two_days_are_the_truth_of_each(two_days):
    views = collect(two_days)
    torch.testing.assert_close(implicit_labels(views), views.Y, rtol=0, atol=1e-3)


def test_labels_are_not_made_from_other_sequences(known):
    views = collect(known)
    for others in (known[:-1], [moved(s) for s in known]):
        with pytest.raises(ValueError, match="are not those that the views were collected from"):
            triangulate_labels(views, others, weighted=False)


# ---------------------------------------------------------------- what may be missing


def test_without_3d_there_is_a_pose_and_no_error(own):
    views, model = collect(own), build(SIZE, Variant())
    poses = predict(model, views)
    assert poses.shape == (len(views), 4, 17, 3) and poses.isfinite().all()
    for measure in (lambda: errors(poses, views), lambda: evaluate(model, views)):
        with pytest.raises(ValueError, match="no 3D poses to measure against; `predict` gives"):
            measure()
    with pytest.raises(ValueError, match=f"S1/{own[0].action} has no joints_3d to choose by"):
        lifting.examples.choose(own)


def test_frames_that_nobody_is_in_are_left_out_of_labels_and_counted(own):
    row = VARIANTS["triangulated-labels-weighted"]
    views = prepare_takes([unseen(own[0], 5), *own[1:]], row)
    with pytest.warns(UserWarning, match=f"1 of {len(views)} frames are left out of training"):
        weights, _ = trained(views, row)
    assert weights.isfinite().all()
    nobody = prepare_takes([unseen(s, slice(None)) for s in own], row)
    with pytest.raises(ValueError, match="no frame has a label"), pytest.warns(UserWarning):
        trained(nobody, row)


def test_the_critic_sees_no_pose_that_is_not_known(known):
    views = collect(known)
    Y = views.Y.clone()
    Y[::2] = torch.nan
    weights, _ = trained(replace(views, Y=Y), VARIANTS["reproj-adv"])
    assert weights.isfinite().all()


@pytest.mark.parametrize("name", ["trans-reproj", "temporal-dilated"])
def test_poses_of_views_that_saw_nobody_are_marked(name, known):
    """Camera 2 is blind, and nobody is in frames 3 to 7; the others are as if nothing were."""
    _, row = settings("lifting", "smoke", name)
    seed_everything(0)
    model = build(SIZE, row)
    take = unseen(unseen(known[0], slice(None), 2), slice(3, 8))
    views = collect([take])
    marked = predict(model, views).isnan()
    expected = torch.zeros(12, 4, dtype=torch.bool)
    expected[:, 2], expected[3:8] = True, True
    assert torch.equal(marked, expected[..., None, None].expand(12, 4, 17, 3))


def test_marked_poses_are_not_measured_and_counted(known):
    seed_everything(0)
    model = build(SIZE, Variant())
    views = collect([unseen(known[0], slice(3, 8)), *known[1:]])
    with pytest.warns(UserWarning, match=rf"20 of {4 * len(views)} poses are not measured"):
        overall, per_action = evaluate(model, views)
    left = [0, 1, 2, 8, 9, 10, 11]
    poses = predict(model, views)[left]
    distance = poses - (views.Y - views.Y[:, :, :1])[left]
    mine = 1000 * float(distance.norm(dim=-1).mean())
    assert per_action[known[0].action]["mpjpe_mm"] == pytest.approx(mine, rel=1e-5)
    assert all(np.isfinite(value) for value in overall.values())
    with pytest.raises(ValueError, match="no pose can be measured"):
        evaluate(model, collect([unseen(s, slice(None)) for s in known]))


def test_other_joints_are_refused(own):
    take = own[0]
    other = replace(
        take, joint_set="mpii16", joints_2d=take.joints_2d[:, :, :16],
        confidence=take.confidence[:, :, :16],
    )  # fmt: skip
    for takes in ([other], [take, other]):
        with pytest.raises(ValueError, match="has the joints of mpii16; .* map them first"):
            collect(takes)


def test_real_and_virtual_views_are_not_mixed(known):
    lone = [replace(s, views="triangulated") for s in known[:1]]
    with pytest.raises(ValueError, match="has real views, others have triangulated ones"):
        collect([*lone, *known[1:]])


def test_one_camera_is_lifted_and_not_trained(own):
    one = [
        replace(s, joints_2d=s.joints_2d[:, :1], confidence=s.confidence[:, :1],
                cameras=s.cameras[:1])
        for s in own
    ]  # fmt: skip
    views, model = collect(one), build(SIZE, Variant())
    assert predict(model, views).shape == (len(views), 1, 17, 3)
    for loss in ("trans-reproj", "reproj"):
        with pytest.raises(ValueError, match="draws pairs of views .* these takes have one"):
            trained(views, Variant(loss=loss))


def test_three_frames_are_too_few_for_a_batch(own):
    few = replace(own[0], joints_2d=own[0].joints_2d[:3], confidence=own[0].confidence[:3])
    with pytest.raises(ValueError, match="a batch of 32 needs as many instants, the data has 3"):
        trained(collect([few]), Variant())
