"""Spoiled files: no hang, no crash without a sentence, no array of a wrong shape let through.

A few of each format run always; `POSEBOOK_MUTATIONS=500 pytest tests/data/test_hostile_3d.py` runs
as many of each.
"""

import copy
import io
import os
import pickle
import shutil
import zipfile

import h5py
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from posebook.data.fixtures import views as fixtures_3d
from posebook.data.formats import plain_pickle, safe_pickle
from posebook.data.official import human36m, mpi_inf_3dhp
from posebook.data.records import ViewSequence

# Spoiled numbers overflow in NumPy and SciPy, and small files are warned of; errors are the matter.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("no_hang")]
MUTATIONS = int(os.environ.get("POSEBOOK_MUTATIONS", "24"))


class RunsCode:
    """What a hostile pickle asks for; a file appears if anything obeys."""

    def __reduce__(self):
        return os.mkdir, ("obeyed",)


# ---------------------------------------------------------------- spoiling


def spoiled_bytes(content: bytes, rng) -> bytes:
    """Cut off, with bytes changed, exchanged, put in or left out."""
    content = bytearray(content)
    kind = rng.integers(6)
    at = int(rng.integers(len(content)))
    if kind == 0:
        return bytes(content[:at])
    if kind == 1:
        for place in rng.integers(len(content), size=int(rng.integers(1, 20))):
            content[place] = int(rng.integers(256))
    elif kind == 2:  # near the beginning, where headers are
        for place in rng.integers(min(400, len(content)), size=int(rng.integers(1, 6))):
            content[place] = int(rng.integers(256))
    elif kind == 3:
        del content[at : at + int(rng.integers(1, 200))]
    elif kind == 4:
        content[at:at] = rng.bytes(int(rng.integers(1, 200)))
    else:
        size = int(rng.integers(1, 64))
        content[at : at + size] = content[: len(content[at : at + size])]
    return bytes(content)


def spoiled_array(array: np.ndarray, rng) -> tuple[object, bool]:
    """The array changed, and whether no reader may take it."""
    array = np.array(array)
    index = tuple(int(rng.integers(side)) for side in array.shape)
    kinds = [
        lambda: (array.swapaxes(0, -1), array.shape[0] != array.shape[-1]),
        lambda: (array[..., :-1], True),
        lambda: (array[None], True),
        lambda: (array.ravel(), True),
        lambda: (array[:0], True),
        lambda: (array.astype(np.int32), True),
        lambda: (array.astype("S8"), True),
        lambda: (array.astype(complex), True),
        lambda: (array.astype(object), True),
        lambda: (array.tolist(), True),
        lambda: (None, True),
        lambda: ("joints", True),
        lambda: (array * np.nan, True),
        lambda: (array * np.inf, True),
        lambda: (_set(array, index, np.nan), False),  # it may be of a joint that nobody reads
        lambda: (_set(array, index, 1e30), False),
        lambda: (1000 * array + 1e5, True),
        lambda: (array.astype(">f8"), False),
        lambda: (np.asfortranarray(array), False),
    ]
    return kinds[int(rng.integers(len(kinds)))]()


def _set(array, index, value):
    changed = array.astype(np.float64)
    changed[index] = value
    return changed


def outcome(read, must_fail, what):
    """Read a spoiled file; either one sentence, or records that are sound."""
    try:
        found = read()
    except (ValueError, FileNotFoundError) as problem:
        sentence = str(problem)
        assert sentence and "\n" not in sentence and len(sentence) < 600, (what, sentence)
        found = None
    assert not os.path.exists("obeyed"), "a file has run code"
    if found is not None:
        assert not must_fail, f"{what} was let through"
        for record in found:
            if isinstance(record, ViewSequence):
                T, V = len(record), len(record.cameras)
                assert record.joints_2d.shape == (T, V, 17, 2)
                assert record.joints_3d.shape == (T, 17, 3)
                assert np.isfinite(record.joints_3d).all() and np.isfinite(record.joints_2d).all()
    return found


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# ---------------------------------------------------------------- Human3.6M


@pytest.fixture(scope="module")
def human36m_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("human36m")
    fixtures_3d.write_human36m(folder, 1, human36m.CPN, confidences=True)
    for path in folder.iterdir():  # uncompressed, so that a changed byte is a changed number
        tables = safe_pickle.read_npz(path, safe_pickle.fields_of(path))
        np.savez(path, **tables)
    return folder


def read_human36m(folder):
    train, test = human36m.load_views(folder)
    return train + test


def spoiled_table(tables, field, rng):
    """Tables with one take, subject or field changed, and whether no reader may take them."""
    tables = copy.deepcopy(tables)
    subjects = tables[field]
    subject = str(rng.choice(human36m.TRAIN_SUBJECTS + human36m.TEST_SUBJECTS))
    take = str(rng.choice(sorted(subjects[subject])))
    kind = int(rng.integers(10))
    if kind == 0:
        del subjects[subject]
    elif kind == 1:
        for name in [t for t in subjects[subject] if human36m.canonical(t) == "Smoking"]:
            del subjects[subject][name]
    elif kind == 2:
        subjects[subject][7] = subjects[subject].pop(take)
    elif kind == 3:
        subjects[f"{subject}x"] = subjects.pop(subject)
    elif kind == 4:
        subjects[subject][take] = RunsCode()
    elif kind == 5:
        tables[field] = [subjects, None, 3.0, {}][int(rng.integers(1, 4))]
    elif field == "positions_3d":
        subjects[subject][take], bad = spoiled_array(subjects[subject][take], rng)
        # One number among 32 joints may be of the 15 that are left out.
        return tables, bad
    elif kind == 6:
        views = subjects[subject][take]
        views[:] = views[:: rng.choice([-1, 2])] if rng.random() < 0.5 else [*views, views[0]]
    else:
        views = subjects[subject][take]
        views[int(rng.integers(4))], bad = spoiled_array(views[0], rng)
        return tables, bad
    return tables, True


def write_table(path, tables):
    arrays = {}
    for name, table in tables.items():
        arrays[name] = np.empty((), object)
        arrays[name][()] = table
    np.savez(path, **arrays)


@pytest.mark.parametrize("name", ["data_3d_h36m.npz", f"data_2d_h36m_{human36m.CPN}.npz"])
@pytest.mark.parametrize("level", ["bytes", "table"])
def test_human36m(human36m_folder, tmp_path, name, level):
    shutil.copytree(human36m_folder, tmp_path, dirs_exist_ok=True)
    path, content = tmp_path / name, (human36m_folder / name).read_bytes()
    tables = safe_pickle.read_npz(path, safe_pickle.fields_of(path))
    field = "positions_3d" if "3d" in name else "positions_2d"
    for seed in range(MUTATIONS // 2):
        rng = np.random.default_rng([seed, level == "bytes", "3d" in name])
        must_fail = False
        if level == "bytes":
            path.write_bytes(spoiled_bytes(content, rng))
        else:
            changed, must_fail = spoiled_table(tables, field, rng)
            write_table(path, changed)
        outcome(lambda: read_human36m(tmp_path), must_fail, f"{name}, {level}, seed {seed}")


def test_mmpose(rare, tmp_path):
    rare.write_human36m_mmpose(tmp_path, frames=1)
    path = tmp_path / "annotation_body3d" / "fps50" / "h36m_train.npz"
    content, fields = path.read_bytes(), safe_pickle.read_npz(path, safe_pickle.fields_of(path))
    for seed in range(MUTATIONS):
        rng = np.random.default_rng([seed, 2])
        must_fail = False
        if seed % 2:
            path.write_bytes(spoiled_bytes(content, rng))
        else:
            name = ("part", "S", "imgname")[int(rng.integers(3))]
            changed = dict(fields)
            if name == "imgname":
                place = int(rng.integers(len(fields[name])))
                changed[name] = fields[name].astype("U80").copy()
                changed[name][place] = rng.choice(["", "S1", "S1/S1_Eating.1/1.jpg", "/" * 70])
                must_fail = True
            else:
                changed[name], must_fail = spoiled_array(fields[name], rng)
                must_fail &= not isinstance(changed[name], list)  # saved, it is an array again
            np.savez(path, **{k: np.asanyarray(v, object if v is None else None)
                              for k, v in changed.items()})  # fmt: skip
        outcome(lambda: sum(human36m.load_views(tmp_path, "gt"), []), must_fail, f"seed {seed}")


# ---------------------------------------------------------------- MPI-INF-3DHP


@pytest.fixture(scope="module")
def mpi_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mpi")
    (folder / "S1" / "Seq1").mkdir(parents=True)
    (folder / "TS1").mkdir()
    fixtures_3d.write_training(folder / "S1" / "Seq1", 3, 0)
    fixtures_3d.write_test(folder / "TS1" / "annot_data.mat", 1, 14, 7)
    return folder


def spoiled_labels(fields, rng):
    fields = copy.deepcopy(fields)
    name = ("annot2", "annot3")[int(rng.integers(2))]
    kind = int(rng.integers(4))
    if kind == 0:
        del fields[name]
    elif kind == 1:
        fields[name] = [np.zeros((3, 56)), fields[name][:13], "joints", fields[name].T[:, :4]][
            int(rng.integers(4))
        ]
    else:
        camera = int(rng.choice(mpi_inf_3dhp.CHEST))
        value, bad = spoiled_array(fields[name][camera, 0], rng)
        value = np.zeros((0, 0)) if value is None else value
        fields[name][camera, 0] = np.array(value) if isinstance(value, list) else value
        # MATLAB keeps neither byte order nor lists: a list of lists is a matrix again.
        return fields, bad and not isinstance(value, list)
    return fields, True


def test_training_labels(mpi_folder, tmp_path):
    shutil.copytree(mpi_folder, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "S1" / "Seq1" / "annot.mat"
    content = path.read_bytes()
    fields = {name: value for name, value in loadmat(path).items() if name[0] != "_"}
    for seed in range(MUTATIONS):
        rng = np.random.default_rng([seed, 3])
        must_fail = False
        if seed % 2:
            path.write_bytes(spoiled_bytes(content, rng))
        else:
            changed, must_fail = spoiled_labels(fields, rng)
            savemat(path, changed)
        outcome(lambda: [mpi_inf_3dhp.read_training(tmp_path, 1, 1)], must_fail, f"seed {seed}")


def test_calibration(mpi_folder, tmp_path):
    shutil.copytree(mpi_folder, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "S1" / "Seq1" / "camera.calibration"
    content = path.read_bytes()
    lines = content.decode().splitlines()
    for seed in range(MUTATIONS):
        rng = np.random.default_rng([seed, 4])
        if seed % 2:
            path.write_bytes(spoiled_bytes(content, rng))
        else:
            changed = list(lines)
            at = int(rng.integers(len(lines)))
            words = changed[at].split()
            words[int(rng.integers(len(words)))] = str(rng.choice(["nan", "-1e400", "x", "", "7"]))
            changed[at] = " ".join(words)
            path.write_text("\n".join(changed))
        outcome(lambda: [mpi_inf_3dhp.read_training(tmp_path, 1, 1)], False, f"seed {seed}")


def test_test_labels(mpi_folder, tmp_path):
    path = tmp_path / "TS1" / "annot_data.mat"
    path.parent.mkdir()
    content = (mpi_folder / "TS1" / "annot_data.mat").read_bytes()
    for seed in range(MUTATIONS):
        rng = np.random.default_rng([seed, 5])
        path.write_bytes(spoiled_bytes(content, rng) if seed % 2 else content)
        must_fail = False
        if seed % 2 == 0:
            with h5py.File(path, "r+") as file:
                name = str(rng.choice(["annot2", "annot3", "univ_annot3", "valid_frame"]))
                changed, must_fail = spoiled_array(file[name][:], rng)
                del file[name]
                if isinstance(changed, list):
                    must_fail = False  # a list of lists is an array again
                if changed is None or np.asarray(changed).dtype.kind in "OU":
                    continue  # HDF5 has no such array
                file[name] = np.array(changed)
                if file[name].dtype.kind == "i":
                    must_fail = False  # whole millimetres are numbers too
        outcome(lambda: [mpi_inf_3dhp.read_test(tmp_path, 1)], must_fail, f"seed {seed}")


# ---------------------------------------------------------------- pickles


def test_pickles():
    table = {"S1": {"Eating": [np.ones((2, 17, 2), np.float32)] * 4, "n": [1, 2.5, None, "a"]}}
    for seed in range(MUTATIONS):
        rng = np.random.default_rng([seed, 6])
        content = pickle.dumps(table, int(rng.integers(6)))
        hostile = pickle.dumps(RunsCode(), int(rng.integers(2)))
        at = int(rng.integers(len(content)))
        spoiled = spoiled_bytes(content, rng) if seed % 2 else content[:at] + hostile + content[at:]
        outcome(lambda s=spoiled: [plain_pickle.run(io.BytesIO(s))], False, f"seed {seed}")


def test_nested_archives_and_endless_names(tmp_path):
    path = tmp_path / "data_3d_h36m.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("positions_3d.npy", b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535)
    outcome(lambda: human36m.read_positions(path), True, "a header of brackets")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x" * 60000 + ".npy", b"")
    outcome(lambda: human36m.read_positions(path), True, "a name without end")
