"""What pages draw: made from what the published runs left, and from nothing else."""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from posebook import factorization, lifting, results, video
from posebook.data import sources
from posebook.data.recorded.motion import load_motion
from posebook.data.recorded.views import ViewsSize, make_views, see_clips
from posebook.data.views import collect
from posebook.experiments import drawn, floors
from posebook.experiments.catalogue import DRAWN, settings
from posebook.experiments.drawn import SINGLE, TAKEN_APART, draw, joints_of, left_by
from posebook.experiments.run import run
from posebook.geometry.skeleton import H36M
from posebook.metrics.pose3d import p_mpjpe
from posebook.paths import cache_folder
from posebook.video import base_network as pretraining

CODE = "abcdef12"
OFFS = dict(zip(TAKEN_APART, (8.0, 6.0, 4.0, 2.0), strict=True))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Folders of runs and of published results; the rendered clips stay where they are."""
    monkeypatch.setenv("POSEBOOK_CACHE", str(cache_folder()))
    monkeypatch.setenv("POSEBOOK_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("POSEBOOK_RESULTS", str(tmp_path / "results"))
    return tmp_path


def publish(row, seed=0, code=CODE, profile="smoke"):
    experiment, variant = row.split("/")
    return results.write_result(results.results_folder(), {
        "experiment": experiment, "variant": variant, "dataset": "embedded-video", "seed": seed,
        "profile": profile, "metrics": {"mean_error_px": 1.0}, "parameters": {}, "device": "cpu",
        "data_digest": "sha256:" + "0" * 64, "code_digest": "sha256:" + code.ljust(64, "0"),
        "steps": 1, "wall_seconds": 1.0,
    })  # fmt: skip


def leave(home, row, name="predictions.npz", seed=0, code=CODE, content=b""):
    path = home / "runs" / "smoke" / f"{row}--seed{seed}" / code / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def frames():
    return video.prepare.clips(*settings("video", "smoke", "res50"))[1]


@pytest.fixture
def runs(home, frames):
    """Predictions off by known lengths, and an untrained network, as runs leave them."""
    for row, off in OFFS.items():
        publish(row)
        joints = frames.joints.numpy() + np.array([off, 0], np.float32)
        np.savez(leave(home, row), joints=joints, scores=np.ones(joints.shape[:2]))
    size, row = settings("video", "smoke", "res50-tce-bc")
    torch.manual_seed(0)
    base = pretraining.build(size.base, 15)
    model = video.prepare.build(size, row, base, 15)
    torch.nn.init.normal_(model.tce.W_of.weight, std=0.05)
    state = {"encoder": base.encoder.state_dict(), "model": model.state_dict()}
    torch.save(state, leave(home, "table-2.3/res50-tce-bc", "network.pt"))
    return home


# ---------------------------------------------------------------- what a run left


def test_the_file_is_that_of_the_run_behind_the_published_number(home):
    mine = leave(home, SINGLE)
    leave(home, SINGLE, code="99999999")  # later, by other code
    publish(SINGLE)
    assert left_by(SINGLE, "smoke", 0, "predictions.npz") == mine
    publish(SINGLE, code="99999999")
    assert left_by(SINGLE, "smoke", 0, "predictions.npz").parent.name == "99999999"


def test_files_of_other_code_do_not_count(home):
    publish(SINGLE)
    said = r"holds no predictions.npz of the run behind .*; run `make results PROFILE=smoke ROW="
    with pytest.raises(FileNotFoundError, match=said + SINGLE):
        left_by(SINGLE, "smoke", 0, "predictions.npz")
    for code in ("99999999", "88888888"):
        leave(home, SINGLE, code=code)
    with pytest.raises(FileNotFoundError, match=r"\(2 of other code, which do not count\); run"):
        left_by(SINGLE, "smoke", 0, "predictions.npz")


def test_the_newest_of_several_with_other_packages_counts(home):
    publish(SINGLE)
    leave(home, SINGLE, code=f"{CODE}-11111111-bf16")
    older, newer = (leave(home, SINGLE, code=f"{CODE}-{n}") for n in ("11111111", "22222222"))
    os.utime(older, (1, 1))
    assert left_by(SINGLE, "smoke", 0, "predictions.npz") == newer


def test_seeds_that_are_published_and_not_trained_here_are_left_out(home, capsys):
    for row in TAKEN_APART:
        for seed in range(3):
            publish(row, seed)
        leave(home, row, seed=2)
    assert drawn._seeds_here(TAKEN_APART, "smoke") == [0, 2]
    assert "seeds 1 are published and not trained here" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x05\x06" + bytes(18)])
def test_damaged_predictions_are_named(content, home, frames):
    publish(SINGLE)
    leave(home, SINGLE, content=content)
    with pytest.raises(ValueError, match=r"predictions\.npz is damaged; delete its folder and run"):
        joints_of(SINGLE, "smoke", 0, frames)


def test_without_a_published_number_there_is_no_run_behind_it(home):
    leave(home, SINGLE)
    with pytest.raises(FileNotFoundError, match="1 of other code"):
        left_by(SINGLE, "smoke", 0, "predictions.npz")
    publish(SINGLE, seed=1)
    with pytest.raises(FileNotFoundError):
        left_by(SINGLE, "smoke", 0, "predictions.npz")


def test_predictions_of_other_clips_are_refused(runs, frames):
    assert joints_of(SINGLE, "smoke", 0, frames).shape == tuple(frames.joints.shape)
    other = replace(frames, joints=frames.joints[:-1])
    with pytest.raises(ValueError, match="run it again"):
        joints_of(SINGLE, "smoke", 0, other)


# ---------------------------------------------------------------- chapter 2


def of(paths, experiment):
    return [results.read_result(p) for p in paths if p.parent.name == experiment]


def test_conditions_protocols_strips_and_offsets_are_filed(runs, frames):
    folder = runs / "out"
    paths = list(draw("conditions", "smoke", folder))
    assert {path.parent.name for path in paths} == set(DRAWN["conditions"].experiments)
    assert all(folder in path.parents for path in paths)

    records = of(paths, "conditions")
    assert [record["variant"] for record in records] == [row.split("/")[1] for row in TAKEN_APART]
    for record, off in zip(records, OFFS.values(), strict=True):
        metrics = record["metrics"]
        joints = sum(n for name, n in metrics.items() if name.startswith("joints_away"))
        assert joints == int(frames.annotated.sum())
        for name, value in metrics.items():
            if name.startswith("error_px"):
                assert value == pytest.approx(off, abs=1e-3)
            if name.startswith("gain"):
                assert value == pytest.approx(8 - off, abs=1e-3)

    # Of the rows that are counted by all protocols, one was run.
    assert [record["variant"] for record in of(paths, "protocols")] == ["res50-ms-tce-bc-re"]

    [strips] = of(paths, "figure-2.6")
    assert max(path.stat().st_size for path in paths) < 300_000
    assert {pose["kind"] for pose in strips["poses"]} == {"worst", "median", "best", "hidden"}
    pose = strips["poses"][0]
    assert video.strips.as_picture(pose["jpeg"]).shape == (96, 96, 3)
    truth, found = np.array(pose["truth"]), np.array(pose["joints"][SINGLE])
    shift = (found - truth)[:, 0]
    assert shift.std() < 0.1 and shift.mean() > 0 and np.abs((found - truth)[:, 1]).max() < 0.11

    [offsets] = of(paths, "figure-2.8")
    metrics = offsets["metrics"]
    assert metrics["clips"] == len(frames.records) and metrics["offset_cells"] > 0
    assert -1 <= metrics["correlation_to_target_low"] <= metrics["correlation_to_target_high"] <= 1
    assert len(offsets["poses"]) == 2


def test_every_published_seed_is_taken_apart(runs, frames):
    for row, off in OFFS.items():
        publish(row, seed=1)
        joints = frames.joints.numpy() + np.array([2 * off, 0], np.float32)
        np.savez(leave(runs, row, seed=1), joints=joints, scores=np.ones(joints.shape[:2]))
    publish(SINGLE, seed=5)  # a claim asked for more pairs, and the other rows have no such seed
    records = of(list(draw("conditions", "smoke", runs / "out")), "conditions")
    assert sorted((record["seed"], record["variant"]) for record in records) == sorted(
        (seed, row.split("/")[1]) for seed in range(2) for row in TAKEN_APART
    )
    for record in records:
        off = OFFS[next(row for row in OFFS if row.endswith(f"/{record['variant']}"))]
        assert record["metrics"]["error_px_away_0"] == pytest.approx((1 + record["seed"]) * off)


def test_what_was_not_run_is_said_with_the_command(home):
    for name, row in (
        ("conditions", SINGLE), ("figure-3.5", "table-3.1/reproj"),
        ("figure-4.4", "table-4.1/baseline-cf"),
    ):  # fmt: skip
        with pytest.raises(FileNotFoundError, match=f"`make results PROFILE=smoke ROW={row}` fir"):
            list(draw(name, "smoke", home / "out"))
    assert not (home / "out").exists()


def test_an_unknown_name_is_answered_with_the_known_ones(home):
    with pytest.raises(ValueError, match="nothing is drawn as figure-3.6; there are figure-3.5, "):
        list(draw("figure-3.6", "smoke", home))


def test_everything_in_the_catalogue_can_be_drawn():
    assert set(drawn._MAKERS) == set(DRAWN)


def test_times_are_filed_for_each_form(home, monkeypatch):
    monkeypatch.setattr(
        video.speed, "measure",
        lambda size, rounds, device: {form: np.ones((rounds, 2)) for form in video.speed.FORMS},
    )  # fmt: skip
    threads = torch.get_num_threads()
    paths = list(draw("runtime", "smoke", home / "out", size="smoke", rounds=2))
    torch.set_num_threads(threads)
    assert [path.stem for path in paths] == [f"{form}-smoke--seed0" for form in video.speed.FORMS]
    for path in paths:
        record = results.read_result(path)
        assert record["metrics"]["ms_per_frame"] == 1 and record["parameters"]["rounds"] == 2
        assert record["wall_seconds"] == pytest.approx(2e-3)


@pytest.mark.parametrize("options", [{"size": "huge"}, {"rounds": 0}])
def test_bad_options_of_the_runtime_are_refused(options, home):
    with pytest.raises(ValueError, match="sizes are smoke, laptop, thesis, rounds at least 1; got"):
        list(draw("runtime", "smoke", home / "out", **options))


# ---------------------------------------------------------------- chapters 3 and 4


@pytest.fixture
def short(monkeypatch):
    """A few steps on two takes."""

    def few(size=None, split="subjects", noise="full", headings="all"):
        train, test = make_views(ViewsSize(1, 12, 1), split, noise)
        walk = next(s for s in test if s.action == "walk")
        return train[:2], [walk, *[s for s in test if s is not walk][:1]]

    monkeypatch.setattr(sources, "make_views", few)
    for module, more in ((lifting, {}), (factorization, {"dictionary_steps": 2})):
        profile = replace(module.rows.PROFILES["smoke"], steps=4, batch=8, **more)
        monkeypatch.setitem(module.rows.PROFILES, "smoke", profile)


def published(row):
    [model], record = run(row, "smoke", 0, keep=True)
    results.write_result(results.results_folder(), record)
    return model.eval()


def test_figure_3_5_is_drawn_from_the_checkpoints_of_its_rows(short, home):
    models = {row.split("/")[1]: published(row) for row in DRAWN["figure-3.5"].rows}
    paths = list(draw("figure-3.5", "smoke", home / "out"))
    assert [path.stem for path in paths] == [f"{name}--seed0" for name in models]
    for path, (name, model) in zip(paths, models.items(), strict=True):
        record = results.read_result(path)
        size, variant = settings("lifting", "smoke", name)
        _, test = sources.load_views("embedded-views", size.size, variant.split, variant.noise)
        expected, metrics = lifting.examples.predictions(model, test)
        assert record["metrics"]["mpjpe_mm"] == pytest.approx(metrics["mpjpe_mm"], rel=1e-5)
        assert len(record["poses"]) == len(expected) > 0 and record["steps"] == 4
        assert record["poses"][0]["predicted_mm"] == expected[0]["predicted_mm"].tolist()


def test_figure_4_4_is_drawn_from_the_checkpoint_of_its_row(short, home):
    model = published("table-4.1/baseline-cf")
    [path] = draw("figure-4.4", "smoke", home / "out")
    record = results.read_result(path)
    assert path.is_relative_to(home / "out") and record["poses"]
    assert len(record["parameters"]["checkpoint"]) == 16 and record["steps"] == 4
    pictures = factorization.evaluate.real_pictures("shift", "cpu")
    first = record["poses"][0]
    Y_hat, _ = model(pictures.X[first["instant"], first["view"]][None])
    torch.testing.assert_close(torch.tensor(first["canonical"]), Y_hat[0], atol=1e-4, rtol=1e-4)


def test_networks_are_measured_as_they_are_on_fetched_motion(short, home, monkeypatch):
    rows = ("table-3.1/supervised", "table-4.1/baseline-cf")
    monkeypatch.setitem(DRAWN, "away-from-home", replace(DRAWN["away-from-home"], rows=rows))
    clips = [clip for clip in load_motion() if clip.name in ("walk", "run")]
    asked = []
    monkeypatch.setattr(drawn.climb, "load_climb", lambda wheel: asked.append(wheel) or clips)
    lifter, factorizer = (published(row) for row in rows)
    found = [results.read_result(path)
             for path in draw("away-from-home", "smoke", home / "out", wheel="a.whl")]  # fmt: skip
    assert asked == ["a.whl"]
    assert {record["dataset"] for record in found} == {"climb"}
    records = {record["variant"]: record for record in found}
    assert [*records] == ["mean-pose", "mean-body", "supervised", "baseline-cf"]
    views = collect(see_clips(clips))
    expected, per_action = lifting.evaluate.evaluate(lifter, views)
    mine = records["supervised"]
    assert mine["metrics"]["mpjpe_mm"] == pytest.approx(expected["mpjpe_mm"], rel=1e-5)
    assert [*mine["per_action"]] == ["run", "walk"]
    home_record = results.read_result(
        results.results_folder() / "smoke" / "table-3.1" / "supervised--seed0.json"
    )
    for name in ("mpjpe_mm", "p_mpjpe_mm", "n_mpjpe_mm"):
        assert mine["metrics"][f"home_{name}"] == home_record["metrics"][name]
    pictures = factorization.pictures.prepare(views)
    Y_hat, R = factorization.evaluate.predict(factorizer, pictures)
    error = 1000 * p_mpjpe((Y_hat @ R).flatten(0, 1), pictures.Y.flatten(0, 1))
    by_action = [error[views.action.repeat_interleave(4) == k].mean() for k in (0, 1)]
    assert records["baseline-cf"]["metrics"]["p_mpjpe_mm"] == pytest.approx(
        float(sum(by_action)) / 2, rel=1e-4
    )


def test_a_floor_is_the_best_constant_and_reads_training_people_alone(home):
    train, test = make_views(ViewsSize(1, 5, 1), noise="none")
    train, test = collect(train), collect(test)
    pose = floors.mean_pose(train)
    assert pose.shape == (17, 3)
    mine = floors.measure(pose, train)["mpjpe_mm"]
    bodies = (train.Y - train.Y[..., :1, :]).flatten(0, 1).double().numpy()
    actions = train.action.repeat_interleave(4).numpy()
    off = np.linalg.norm(bodies.mean(0) - bodies, axis=-1).mean(-1)
    by_hand = np.mean([off[actions == k].mean() for k in np.unique(actions)])
    assert mine == pytest.approx(1000 * by_hand, rel=1e-4)
    body = floors.mean_body(train)
    assert floors.measure(body, test)["p_mpjpe_mm"] < floors.measure(pose, test)["p_mpjpe_mm"]
    hips = [H36M.index(name)[0] for name in ("LHip", "RHip")]
    left = body[hips[0]] - body[hips[1]]
    apart = np.linalg.norm(bodies[:, hips[0]] - bodies[:, hips[1]], axis=-1)
    assert left[0] == pytest.approx(apart.mean(), rel=1e-4)  # all turned to one side
    assert left[1:].norm() < 1e-4
