import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.io import loadmat, savemat

from posebook.data.formats.matlab import read_mat


@pytest.fixture
def written(tmp_path):
    def write(compress=True, **fields):
        path = tmp_path / "labels.mat"
        savemat(path, fields, do_compression=compress)
        return path

    return write


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.uint8, np.uint16, np.int32])
@pytest.mark.parametrize("compress", [True, False])
def test_numbers_come_back_as_float64(written, kind, compress):
    x = np.arange(12).reshape(3, 4).astype(kind)
    found = read_mat(written(compress, x=x)).array("x", 3, None)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, x)


def test_sums_of_small_integers_do_not_wrap(written):
    x = read_mat(written(x=np.array([[200, 100]], dtype=np.uint8))).array("x", 1, 2)
    assert x.sum() == 300


def test_the_last_axis_of_length_one_is_put_back(written):
    path = written(x=np.ones((2, 15)))  # MATLAB saves 2 x 15 x 1 so
    assert read_mat(path).array("x", 2, 15, None).shape == (2, 15, 1)


def test_structs_cells_and_text_become_plain(written):
    people = np.empty((1, 2), dtype=[("name", object), ("age", object)])
    people["name"][0], people["age"][0] = ["A", "B"], [3.0, np.zeros((0, 0))]
    one = {"word": "walk", "empty": "", "inner": {"x": 1.0}}
    mat = read_mat(written(people=people, one=one, cell=np.array([["a", 2.0]], dtype=object)))
    assert [person["name"] for person in mat["people"]] == ["A", "B"]
    assert mat["people"][1]["age"].shape == (0, 0)
    assert mat["one"]["word"] == "walk" and mat["one"]["empty"] == ""
    assert mat["one"]["inner"]["x"].item() == 1
    assert mat["cell"][0] == "a" and mat["cell"][1].item() == 2


KINDS = ("f8", "f4", "u1", "u2", "i4", "i8", "c16", "bool")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    x=st.sampled_from(KINDS).flatmap(
        lambda kind: arrays(kind, array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=3))
    ),
    word=st.text(st.characters(codec="latin-1", min_codepoint=32), max_size=9),
    compress=st.booleans(),
)
def test_it_reads_what_scipy_reads(written, x, word, compress):
    path = written(compress, x=x, word=word, inner={"cell": np.array([[x, word]], dtype=object)})
    mat, scipys = read_mat(path), loadmat(path)
    np.testing.assert_array_equal(mat["x"], scipys["x"])
    assert mat["word"] == "".join(scipys["word"])
    np.testing.assert_array_equal(mat["inner"]["cell"][0], scipys["x"])
    assert mat["inner"]["cell"][1] == mat["word"]


def test_lines_of_text(written):
    assert read_mat(written(x=np.array(["left", "side"])))["x"] == ["left", "side"]


def test_big_endian_files_are_read(written):
    """The same 2 x 1 matrix as a machine of the other byte order writes it."""
    flags = struct.pack(">IIII", 6, 8, 6, 0)  # class double
    shape = struct.pack(">IIii", 5, 8, 2, 1)
    name = struct.pack(">HH4s", 1, 1, b"x\0\0\0")
    data = struct.pack(">IIdd", 9, 16, 1.5, -2.0)
    body = flags + shape + struct.pack(">I", 1 << 16 | 1) + name[4:] + data
    path = written(x=1.0)
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(">H", 0x0100) + b"MI"
    path.write_bytes(header + struct.pack(">II", 14, len(body)) + body)
    assert read_mat(path).array("x", 2, None).tolist() == [[1.5], [-2.0]]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (np.ones((3, 2)), "x must be 2 x 3, got 3 x 2 of float64 .its axes are in another order"),
        (np.ones((2, 4)), "x must be 2 x 3, got 2 x 4 of float64; unpack"),
        ("words", "x must be numbers, got the text 'words'"),
        (np.ones((2, 3)) * 1j, "x must be numbers, got 2 x 3 of complex128"),
        ({"x": 1.0}, "x must be numbers, got a struct"),
        (np.array([["a", 1.0]], dtype=object), "x must be numbers, got 2 cells or structs"),
        (np.array([[1, 2, 3], [4, np.nan, 6]]), r"x is not finite at index \(1, 1\)"),
    ],
)
def test_a_field_that_is_not_as_it_should_be(written, value, problem):
    with pytest.raises(ValueError, match=f"labels.mat: {problem}"):
        read_mat(written(x=value)).array("x", 2, 3)


def test_a_missing_field_is_answered_with_those_that_there_are(written):
    with pytest.raises(ValueError, match=r"labels.mat: y is missing \(its fields: x\); copy it"):
        read_mat(written(x=1.0), remedy="copy it anew")["y"]


def test_one_number_and_one_word(written):
    mat = read_mat(written(x=np.ones((2, 2)), n=np.uint8(7), word="walk"))
    assert mat.number("n") == 7 and mat.text("word") == "walk"
    with pytest.raises(ValueError, match="x must be one number, got 2 x 2"):
        mat.number("x")
    with pytest.raises(ValueError, match="n must be text, got 1 x 1"):
        mat.text("n")


@pytest.mark.parametrize("keep", [0, 50, 127, 130, 180, -1])
@pytest.mark.parametrize("compress", [True, False])
def test_a_file_cut_short(written, keep, compress):
    path = written(compress, x=np.random.default_rng(0).normal(size=(9, 9)))
    os.truncate(path, keep if keep >= 0 else path.stat().st_size - 1)
    with pytest.raises(ValueError, match="labels.mat (is|holds) .*; unpack the official archive"):
        read_mat(path)


def test_a_flipped_bit_of_a_compressed_file(written):
    path = written(x=np.arange(100.0))
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="labels.mat is damaged"):
        read_mat(path)


def unfinished(path, x, keep=None):
    """A file whose compressed element ends in a sync flush, as MATLAB's at 16,384 bytes does.

    keep: bytes of the plain element that go in, all if None.
    """
    savemat(path, {"x": x})
    header, plain = path.read_bytes()[:128], path.read_bytes()[128:]
    stream = zlib.compressobj()
    packed = stream.compress(plain[:keep]) + stream.flush(zlib.Z_SYNC_FLUSH)
    assert packed.endswith(b"\0\0\xff\xff")
    path.write_bytes(header + struct.pack("<II", 15, len(packed)) + packed)
    return len(plain)


@pytest.mark.parametrize("shape", [(157, 13), (3, 2), (2000, 28)])
def test_an_element_without_zlibs_final_block_is_whole_all_the_same(tmp_path, shape):
    x = np.random.default_rng(0).normal(size=shape)
    size = unfinished(tmp_path / "a.mat", x)
    assert size == 16_384 or shape != (157, 13), "two of Penn Action's labels are of this size"
    np.testing.assert_array_equal(read_mat(tmp_path / "a.mat").array("x", *shape), x)
    np.testing.assert_array_equal(loadmat(tmp_path / "a.mat")["x"], x)


@pytest.mark.parametrize("keep", [0, 4, 8, 100, -8, -1])
def test_an_element_shorter_than_its_tag_says_is_refused(tmp_path, keep):
    unfinished(tmp_path / "a.mat", np.ones((157, 13)), keep)
    with pytest.raises(ValueError, match=r"a.mat is damaged \(a part has [\d,]+ of [\d,]+ bytes\)"):
        read_mat(tmp_path / "a.mat")


def test_a_pointer_of_git_lfs_says_how_to_fetch_the_file(tmp_path):
    (tmp_path / "a.mat").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(ValueError, match="a.mat is not the file but .*; run `git lfs pull` in"):
        read_mat(tmp_path / "a.mat")


@pytest.mark.parametrize(
    "start", [b"MATLAB 7.3 MAT-file".ljust(512, b"\0"), b"\x89HDF\r\n\x1a\n" + bytes(500)]
)
def test_hdf5_is_named_with_its_remedy(written, start):
    path = written(x=1.0)
    path.write_bytes(start)
    with pytest.raises(ValueError, match="MATLAB 7.3 .HDF5. file .* save it with -v7"):
        read_mat(path)


@pytest.mark.parametrize("content", [b"PK\x03\x04" * 99, b"<html>404</html>" * 20, bytes(400)])
def test_what_is_no_mat_file(written, content):
    path = written(x=1.0)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="labels.mat is no MATLAB 5 file"):
        read_mat(path)


def test_cells_without_end_are_refused_at_once(written):
    """A cell array that claims two thousand million cells in a file of a few bytes."""
    path = written(compress=False, x=np.array([["a", "b"]], dtype=object))
    content = path.read_bytes().replace(
        struct.pack("<ii", 1, 2), struct.pack("<ii", 1, 2**31 - 1), 1
    )
    path.write_bytes(content)
    with pytest.raises(ValueError, match="more cells than the file can hold"):
        read_mat(path)


def test_cells_in_cells_in_cells_are_refused(written):
    """Too deep for Python's stack, which says so; a compiled reader would fall off its own."""
    inner = struct.pack("<II", 14, 0)
    for _ in range(5000):
        head = struct.pack("<IIIIIIiiII", 6, 8, 1, 0, 5, 8, 1, 1, 1, 0)
        inner = struct.pack("<II", 14, len(head) + len(inner)) + head + inner
    path = written(x=1.0)
    path.write_bytes(path.read_bytes()[:128] + inner)
    with pytest.raises(ValueError, match="labels.mat is damaged .*recursion"):
        read_mat(path)


def test_a_small_file_that_unpacks_without_end_is_refused(written, monkeypatch):
    monkeypatch.setattr("posebook.data.formats.mat5.LARGEST", 10**6)
    path = written(x=np.zeros(10**6))
    assert path.stat().st_size < 20000
    with pytest.raises(ValueError, match="labels.mat is larger than any official one"):
        read_mat(path)


def test_bytes_that_become_doubles_count_as_what_they_become(written, monkeypatch):
    """MATLAB stores small whole numbers in a byte each, whatever the class of the array."""
    count, path = 320, written(x=1.0)
    body = struct.pack("<IIII", 6, 8, 6, 0) + struct.pack("<IIii", 5, 8, 1, count)
    body += struct.pack("<II", 1 << 16 | 1, ord("x")) + struct.pack("<II", 2, count) + b"\1" * count
    path.write_bytes(path.read_bytes()[:128] + struct.pack("<II", 14, len(body)) + body)
    assert read_mat(path)["x"].tolist() == [[1.0] * count]
    monkeypatch.setattr("posebook.data.formats.mat5.LARGEST", 1000)
    with pytest.raises(ValueError, match="labels.mat is larger than any official one"):
        read_mat(path)


def test_a_matlab_function_is_refused(written):
    """Nothing that is code in MATLAB gets further than its name."""
    path = written(x=1.0)
    flags = struct.pack("<IIII", 6, 8, 16, 0)  # class function
    inner = zlib.decompress(path.read_bytes()[136:])
    shape = struct.pack("<IIii", 5, 8, 1, 1) + struct.pack("<HH4s", 1, 1, b"f\0\0\0")
    body = flags + shape + inner
    part = struct.pack("<II", 14, len(body)) + body
    path.write_bytes(path.read_bytes()[:128] + part)
    with pytest.raises(ValueError, match="labels.mat holds a function, which no data set does"):
        read_mat(path)
