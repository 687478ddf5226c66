"""No loader hangs, crashes without a sentence, or takes a wrong shape, whatever is in its files.

Each form is spoilt many times, by bytes and by fields, from a seed. POSEBOOK_MUTATIONS says how
many times each; the loaders were published after 500.
"""

import copy
import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from posebook.data.fixtures import images as fixtures_2d
from posebook.data.formats.files import picture_size
from posebook.data.official import jhmdb, mpii, penn_action
from posebook.data.official.overlays import sample_of
from posebook.data.official.report import Report
from posebook.data.records import VideoClip

pytestmark = pytest.mark.usefixtures("no_hang")
MUTATIONS = int(os.environ.get("POSEBOOK_MUTATIONS", 25))


@dataclass
class Form:
    """One form of files: the file that is spoilt, and what reads it."""

    path: Path
    load: Callable[[], object]
    content: bytes

    def spoil(self, content: bytes) -> None:
        self.path.unlink()
        self.path.write_bytes(content)

    def mend(self) -> None:
        self.spoil(self.content)

    def outcome(self) -> str:
        """What loading says: "" if it succeeds, else its sentence. All else is raised."""
        try:
            self.load()
            message = ""
        except (ValueError, FileNotFoundError) as refusal:
            message = str(refusal)
            assert self.path.name in message or self.path.parent.name in message, message
            assert "\n" not in message and len(message) > 30 and "; " in message, message
        return message


@pytest.fixture(scope="module")
def folder(rare, tmp_path_factory):
    """All forms, as small as they can be."""
    folder = tmp_path_factory.mktemp("forms")
    clips = fixtures_2d.jhmdb_clips(frames=2)
    fixtures_2d.write_jhmdb(folder / "jhmdb", clips)
    rare.write_jhmdb_coco(folder / "coco", clips[:4])
    fixtures_2d.write_penn(folder / "penn", fixtures_2d.penn_clips(1, 5))
    stills = fixtures_2d.mpii_stills(4), fixtures_2d.mpii_stills(2, "valid", 4)
    fixtures_2d.write_mpii_mat(folder / "original", *stills)
    fixtures_2d.write_mpii_json(folder / "converted", *stills)
    rare.write_mpii_pytorch_pose(folder / "listed", *stills)
    return folder


def form_of(folder: Path, name: str) -> Form:
    entry = jhmdb.read_split(folder / "jhmdb", 1)[0]
    inside = Path(entry.action) / entry.name

    def one_clip():
        return jhmdb.read_clip(folder / "jhmdb", entry)

    path, load = {
        "joints": ("jhmdb/joint_positions" / inside / "joint_positions.mat", one_clip),
        "mask": ("jhmdb/puppet_mask" / inside / "puppet_mask.mat", one_clip),
        "split": (
            "jhmdb/sub_splits/catch_test_split_1.txt",
            lambda: jhmdb.read_split(folder / "jhmdb", 1),
        ),
        "coco": ("coco/annotations/Sub1_train.json", lambda: jhmdb.load_clips(folder / "coco")),
        "penn": ("penn/labels/0001.mat", lambda: penn_action.load_clips(folder / "penn")),
        "original": (f"original/{mpii.ORIGINAL}", lambda: mpii.load_stills(folder / "original")),
        "converted": ("converted/annot/train.json", lambda: mpii.load_stills(folder / "converted")),
        "listed": (
            f"listed/annot/{mpii.PYTORCH_POSE}",
            lambda: mpii.load_stills(folder / "listed"),
        ),
    }[name]
    path = folder / path
    return Form(path, load, path.read_bytes())


FORMS = ("joints", "mask", "split", "coco", "penn", "original", "converted", "listed")


@pytest.fixture
def form(folder, request):
    form = form_of(folder, request.param)
    yield form
    form.mend()


# ---------------------------------------------------------------- by bytes


def spoilt_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut, flipped, blanked, doubled, moved, or of another file altogether."""
    n = len(content)
    data = bytearray(content)
    at, length = int(rng.integers(n)), int(rng.integers(1, 40))
    kind = rng.integers(8)
    if kind == 0:
        return content[:at]
    if kind == 1:
        for place in rng.integers(n, size=length):
            data[place] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        data[at : at + length] = bytes(len(data[at : at + length]))
    elif kind == 3:
        data[at:at] = data[at : at + length]
    elif kind == 4:
        del data[at : at + length]
    elif kind == 5:
        data[at : at + length] = b"\xff" * length
    elif kind == 6:
        return rng.bytes(length * 10)
    else:  # the header stays, what follows is noise
        data[128:] = rng.bytes(max(0, n - 128))
    return bytes(data)


@pytest.mark.parametrize("form", FORMS, indirect=True)
def test_spoilt_bytes_are_refused_or_harmless(form):
    refused = 0
    for seed in range(MUTATIONS):
        form.spoil(spoilt_bytes(form.content, np.random.default_rng(seed)))
        refused += bool(form.outcome())
    assert refused > MUTATIONS / 4
    form.mend()
    assert form.outcome() == ""


def test_uncompressed_files_have_no_sum_and_are_read_all_the_same(folder):
    """Flipped bits reach the matrices themselves here, which compression otherwise shields.

    Those that change a length or a kind are refused; those in a number are read as it stands.
    """
    form = form_of(folder, "original")
    written = [part.joints for part in form.load()]
    savemat(form.path, {k: v for k, v in loadmat(form.path).items() if k[:2] != "__"})
    plain = form.path.read_bytes()
    try:
        for joints, part in zip(written, form.load(), strict=True):
            np.testing.assert_array_equal(part.joints, joints)
        refused = 0
        for seed in range(MUTATIONS):
            form.spoil(spoilt_bytes(plain, np.random.default_rng(seed)))
            refused += bool(form.outcome())
        assert MUTATIONS / 4 < refused < MUTATIONS
    finally:
        form.mend()


# ---------------------------------------------------------------- by fields of .mat files

CHANGES: dict[str, Callable] = {
    "missing": lambda x, rng: None,
    "text": lambda x, rng: "nothing",
    "struct": lambda x, rng: {"x": 1.0},
    "cells": lambda x, rng: np.array([["a", 1.0]], dtype=object),
    "complex": lambda x, rng: x * 1j,
    "swapped": lambda x, rng: np.ascontiguousarray(np.moveaxis(x, 0, -1)),
    "longer": lambda x, rng: np.concatenate([x, x[-1:]]),
    "shorter": lambda x, rng: x[:-1],
    "more frames": lambda x, rng: np.concatenate([x, x[..., -1:]], axis=-1),
    "less frames": lambda x, rng: x[..., :-1],
    "nothing": lambda x, rng: np.zeros((0, 0)),
    "number": lambda x, rng: 3.0,
    "flat": lambda x, rng: x.reshape(1, -1),
    "not finite": lambda x, rng: _with_one(x, rng.choice([np.nan, np.inf, -np.inf]), rng),
}  # fmt: skip


def _with_one(x, value, rng):
    x = x.astype(float)
    x.flat[rng.integers(x.size)] = value
    return x


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ("joints", "pos_img"), ("mask", "part_mask"), ("penn", "x"), ("penn", "y"),
        ("penn", "visibility"), ("penn", "bbox"),
    ],
    indirect=["form"],
)  # fmt: skip
def test_a_field_of_another_shape_or_kind_is_always_refused(form, field):
    whole = {k: v for k, v in loadmat(form.path).items() if k[:2] != "__"}
    for seed in range(math.ceil(MUTATIONS / len(CHANGES))):
        for what, change in CHANGES.items():
            if (field, what) == ("bbox", "shorter"):
                continue  # as in two official clips
            value = change(whole[field], np.random.default_rng(seed))
            changed = {k: v for k, v in (whole | {field: value}).items() if v is not None}
            form.path.unlink()
            savemat(form.path, changed)
            assert form.outcome(), f"{field}: {what} was accepted"


# ---------------------------------------------------------------- by values of JSON files

BAD_VALUES = (None, "x", [], {}, math.nan, math.inf, -1, True, [1, 2], 10**400, "../../etc", [[1]])


def places(value, path=()):
    """The path to every value in a JSON document."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))


@pytest.mark.parametrize("form", ["coco", "converted", "listed"], indirect=True)
def test_spoilt_values_of_json_are_refused_or_harmless(form):
    document = json.loads(form.content)
    where = list(places(document))
    refused = 0
    for seed in range(MUTATIONS):
        rng = np.random.default_rng(seed)
        spoilt = copy.deepcopy(document)
        *path, last = where[rng.integers(len(where))]
        inner = spoilt
        for key in path:
            inner = inner[key]
        if rng.random() < 0.3:
            del inner[last]
        else:
            inner[last] = BAD_VALUES[rng.integers(len(BAD_VALUES))]
        form.spoil(json.dumps(spoilt).encode())
        refused += bool(form.outcome())
    assert refused > MUTATIONS / 3


@pytest.mark.parametrize("value", [None, "x", [], {}, math.nan, math.inf, [1, 2], 10**400])
@pytest.mark.parametrize(
    ("form", "path"),
    [
        ("coco", ("annotations", 0, "keypoints")), ("coco", ("annotations", 0, "keypoints", 3)),
        ("coco", ("annotations", 0, "bbox")), ("coco", ("annotations", 0, "bbox", 2)),
        ("coco", ("images", 0, "file_name")), ("coco", ("images",)), ("coco", ("annotations",)),
        ("converted", (0, "joints")), ("converted", (0, "joints", 3)),
        ("converted", (0, "joints", 3, 1)), ("converted", (0, "joints_vis")),
        ("converted", (0, "center")), ("converted", (0, "scale")), ("converted", (0, "image")),
    ],
    indirect=["form"],
)  # fmt: skip
def test_a_bad_value_where_it_counts_is_always_refused(form, path, value):
    is_a_place = value == [1, 2] and path[1:] in (("joints", 3), ("center",))
    document = json.loads(form.content)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    form.spoil(json.dumps(document).encode())
    assert bool(form.outcome()) != is_a_place, "two numbers are a place, all else is refused"


# ---------------------------------------------------------------- pictures


@pytest.mark.parametrize("kind", ["jpg", "png", "palette"])
def test_a_spoilt_picture_is_shown_or_told(tmp_path, kind):
    clip = fixtures_2d.penn_clips(1, 1)[0]
    path = tmp_path / f"a.{kind.replace('palette', 'png')}"
    fixtures_2d.save(clip.pictures[0], path, palette=kind == "palette")
    content = path.read_bytes()
    fields = {name: getattr(clip, name) for name in ("joints", "visible", "box", "joint_set")}
    record = VideoClip([path], **fields, split="train", name="a", action="")
    for seed in range(MUTATIONS):
        path.write_bytes(spoilt_bytes(content, np.random.default_rng(seed)))
        report = Report("penn-action", tmp_path)
        shown = sample_of(record, 0, "a", report)
        assert bool(shown) != bool(report.problems)
        assert all(path.name in what for what, _ in report.problems)
        try:
            assert min(picture_size(path)) > 0
        except ValueError as refusal:
            assert path.name in str(refusal)


# ---------------------------------------------------------------- folders


@pytest.mark.parametrize("name", ["jhmdb", "coco", "penn", "original", "converted", "listed"])
def test_a_folder_that_lacks_any_one_file_is_refused(folder, name, tmp_path):
    module = {"jhmdb": jhmdb, "coco": jhmdb, "penn": penn_action}.get(name, mpii)
    load = getattr(module, "load_clips", None) or module.load_stills
    files = [path for path in sorted((folder / name).rglob("*")) if path.is_file()]
    files = [p for p in files if not p.match("Sub[23]_*.json") and not p.match("*_split_[23].txt")]
    load(folder / name)
    for k in np.random.default_rng(0).permutation(len(files))[: max(4, MUTATIONS // 5)]:
        inside = files[k].relative_to(folder / name)
        files[k].rename(tmp_path / "away")
        try:
            if inside.name == "detections.mat":
                load(folder / name)  # is optional
                continue
            with pytest.raises((FileNotFoundError, ValueError), match="; "):
                load(folder / name)
        finally:
            (tmp_path / "away").rename(files[k])
