"""Pickled arrays come back as they were, and nothing a pickle wants done is done."""

import io
import os
import pickle
import pickletools
import struct
import tracemalloc
import zipfile
from collections import OrderedDict, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.lib import format as npy

from posebook.data.formats import plain_pickle, safe_pickle

NUMBERS = arrays.arrays(
    st.sampled_from(["f4", "f8", ">f8", "i2", "i8", "u1", "?", "U3", "S2"]),
    arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
    | st.text() | st.binary() | NUMBERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    | st.tuples(inner, inner),
    max_leaves=8,
)  # fmt: skip


def same(a, b):
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(
            a, b, equal_nan=a.dtype.kind == "f"
        )  # fmt: skip
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@settings(max_examples=40, deadline=None)
@given(PLAIN, st.integers(0, 5))
def test_plain_data_comes_back(value, protocol):
    assert same(value, plain_pickle.run(io.BytesIO(pickle.dumps(value, protocol))))


@pytest.mark.parametrize("protocol", [2, 3])
def test_files_of_old_numpy_are_read(protocol):
    old = pickle.dumps({"a": np.arange(6.0).reshape(2, 3), "b": np.float32(2)}, protocol)
    old = old.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    assert b"numpy.core" in old
    found = plain_pickle.run(io.BytesIO(old))
    assert np.array_equal(found["a"], np.arange(6.0).reshape(2, 3)) and found["b"] == 2


def test_values_shared_by_two_places_and_ordered_dictionaries_are_read():
    shared = np.arange(3)
    value = OrderedDict(a=[shared, shared], b={("S1", "54138969"): shared.T})
    found = plain_pickle.run(io.BytesIO(pickle.dumps(value)))
    assert found["a"][0] is found["a"][1]
    assert np.array_equal(found["b"]["S1", "54138969"], shared)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_with_objects_comes_back(tmp_path, save):
    table = {"S1": {"Eating": [np.ones((2, 17, 2), np.float32)] * 4}}
    columns = np.asfortranarray(np.arange(6).reshape(2, 3))
    objects = np.array([{"a": 1}, [np.zeros(2), np.zeros(2)], None], dtype=object)
    save(tmp_path / "a.npz", table=table, columns=columns, objects=objects)
    found = safe_pickle.read_npz(
        tmp_path / "a.npz", ["table", "columns", "objects", "not in the file"]
    )
    assert list(found) == ["table", "columns", "objects"]
    assert same(found["table"], table) and same(found["columns"], columns)
    assert same(list(found["objects"]), list(objects))
    assert safe_pickle.fields_of(tmp_path / "a.npz") == ["columns", "objects", "table"]


def object_file(path, content: bytes):
    """An .npy file of one object, whose pickle is `content`."""
    header = io.BytesIO()
    npy.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": ()})
    path.write_bytes(header.getvalue() + content)
    return path


def test_npy_files_of_numbers_and_of_an_object(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(4.0))
    assert np.array_equal(safe_pickle.read_npy(tmp_path / "a.npy"), np.arange(4.0))
    table = np.empty((), object)
    table[()] = {("S1", "5"): {"f": np.ones((2, 1))}}
    np.save(tmp_path / "a.npy", table)
    assert safe_pickle.read_npy(tmp_path / "a.npy")["S1", "5"]["f"].shape == (2, 1)


@pytest.mark.parametrize("protocol", range(6))
def test_what_comes_back_is_numpys_own_and_cannot_be_written(protocol):
    inner = np.empty(2, object)
    inner[:] = [np.arange(3), (np.float32(2), [np.arange(2)])]
    found = plain_pickle.run(io.BytesIO(pickle.dumps({"a": inner}, protocol)))["a"]
    arrays_found = [found[0], found[1][1][0]]
    assert all(type(array) is np.ndarray for array in (found, *arrays_found))
    assert not any(array.flags.writeable for array in arrays_found)
    assert type(found[1][0]) is np.float32


# ---------------------------------------------------------------- what is refused


class Hostile:
    """An object that would create a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_file_that_tries_to_run_code_is_refused_by_name(tmp_path):
    trace = tmp_path / "trace"
    array = np.empty((), object)
    array[()] = {"S1": {"Eating": Hostile(trace)}}
    np.savez(tmp_path / "data_3d_h36m.npz", positions_3d=array)
    with pytest.raises(ValueError, match=r"data_3d_h36m\.npz.*\.mkdir.*not opened"):
        safe_pickle.read_npz(tmp_path / "data_3d_h36m.npz", ["positions_3d"])
    assert not trace.exists()
    with zipfile.ZipFile(tmp_path / "data_3d_h36m.npz") as archive:
        program = archive.read("positions_3d.npy").split(b"\n", 1)[1]  # behind the array's header
    asked = [(code.name, value) for code, value, _ in pickletools.genops(program)]
    assert ("SHORT_BINUNICODE", "mkdir") in asked and ("REDUCE", None) in asked, "hostile indeed"


def program(*lines: bytes) -> io.BytesIO:
    return io.BytesIO(b"\x80\x04" + b"".join(lines) + b".")


def half_an_array() -> bytes:
    return b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR"


@pytest.mark.parametrize(
    "stream",
    [
        program(b"cbuiltins\neval\n(X\x01\x00\x00\x001tR"),
        program(b"\x8c\x05posix\x8c\x06system\x93\x8c\x02ls\x85R"),  # by STACK_GLOBAL
        program(b"cnumpy\nload\n)R"),
        program(b"cnumpy.core.multiarray\nfromfile\n)R"),
        program(b"(X\x02\x00\x00\x00lsios\nsystem\n"),  # INST
        program(b"(cos\nsystem\nX\x02\x00\x00\x00lso"),  # OBJ
        program(b"cnumpy\nndarray\n)\x81"),  # NEWOBJ
        program(b"\x82\x01"),  # EXT1, a registered extension
        program(b"Pname\n"),  # PERSID, a persistent object
        program(b"cnumpy\nndarray\n(K\x05K\x05tR"),  # another way to make an array
        program(b"cnumpy\ndtype\nX\x05\x00\x00\x00f4,f4\x85R"),
        program(half_an_array(), b"}X\x01\x00\x00\x00aK\x01sb"),  # an array's inside by name
        program(b"]q\x00K\x01b"),  # BUILD on a list
        program(b"}]K\x01s"),  # an unhashable key
        program(b"h\x07"),  # a memory never filled
        program(b"\x85"),
        program(b"u"),
        program(b"0"),
        program(b"K\x01K\x02"),  # two results
        io.BytesIO(b"\x80\x04K\x01"),  # no end
        io.BytesIO(b""),
    ],
)
def test_instructions_and_names_beyond_plain_data_are_refused(stream):
    with pytest.raises(ValueError):
        plain_pickle.run(stream)


def test_keys_that_take_for_ever_to_hash_are_refused():
    # a tuple of two equal tuples, sixty deep: 2^60 leaves
    doubled = b")" + b"".join(b"q%ch%c\x86" % (depth, depth) for depth in range(60))
    with pytest.raises(ValueError, match="key"):
        plain_pickle.run(program(b"}", doubled, b"K\x01s"))


def test_a_list_that_holds_itself_does_no_harm():
    loop: list = []
    loop.append(loop)
    found = plain_pickle.run(io.BytesIO(pickle.dumps(loop)))
    assert found[0] is found


def test_array_with_less_content_than_its_shape(tmp_path):
    content = pickle.dumps(np.zeros((40, 3)), 4).replace(b"K(K\x03", b"K(K\x04")
    path = object_file(tmp_path / "a.npy", content)
    with pytest.raises(ValueError, match=r"a\.npy: an array of shape \(40, 4\)"):
        safe_pickle.read_npy(path)


@pytest.mark.parametrize("sides", [b"K\x04", b"J\xff\xff\xff\x7f"])
def test_objects_fewer_than_the_shape_says_are_refused(sides):
    """NumPy's own function would read past the end of the list."""
    content = pickle.dumps(np.array([{}, {}, {}], object), 2)
    assert content.count(b"K\x03\x85") == 1
    with pytest.raises(ValueError, match=r"an array of shape \(\d+,\) holds 3 objects"):
        plain_pickle.run(io.BytesIO(content.replace(b"K\x03\x85", sides + b"\x85")))


@pytest.mark.parametrize("side", [-1, 1 << 40, 1 << 4000])
def test_sides_that_no_array_has_are_refused(side):
    """Their product would be computed, and of thousands of long numbers that takes for ever."""
    shape = pickle.dumps((side, 0), 2)[2:-1]
    head = half_an_array() + b"(K\x01" + shape + b"cnumpy\ndtype\nX\x02\x00\x00\x00f4\x85R\x89"
    with pytest.raises(ValueError, match="no shape of whole numbers|of more than 64 bits"):
        plain_pickle.run(program(head, b"C\x00tb"))


def test_a_type_whose_flags_turn_numbers_into_addresses_has_no_effect():
    content = pickle.dumps(np.arange(3), 2)
    end = b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"  # item size, alignment, flags
    assert content.count(end) == 1
    changed = content.replace(end, end[:-2] + b"\x3ft")
    assert np.array_equal(plain_pickle.run(io.BytesIO(changed)), np.arange(3))


def test_numbers_are_never_taken_for_the_addresses_of_objects():
    """NumPy's own function does so where the type says object and its flags do not."""
    content = pickle.dumps(np.array([None], object), 2)
    assert content.count(b"K\x3ft") == 1 and content.endswith(b"]q\x11Natq\x12b.")
    content = content.replace(b"K\x3ft", b"K\x00t")
    forged = content[: content.index(b"]q")] + b"U\x08AAAAAAAAtb."
    with pytest.raises(ValueError, match="an array is of type object; numbers and text are read"):
        plain_pickle.run(io.BytesIO(forged))


@pytest.mark.parametrize(
    "inside",
    [
        b"}X\x08\x00\x00\x00functioncos\nsystem\ns",
        b"N}X\x08\x00\x00\x00functionK\x01s\x86",  # the second half goes through setattr
        b"(K\x01t",
    ],
)
def test_what_may_be_called_cannot_be_changed(inside):
    for name in (b"cnumpy\ndtype\n", b"c_codecs\nencode\n", b"cnumpy\nndarray\n"):
        with pytest.raises(ValueError):
            plain_pickle.run(program(name, inside, b"b"))
    assert np.array_equal(plain_pickle.run(io.BytesIO(pickle.dumps(np.arange(3)))), np.arange(3))


def test_a_function_in_place_of_data_is_refused():
    with pytest.raises(ValueError, match="a function where data should be"):
        plain_pickle.run(program(b"]cnumpy\ndtype\na"))


def many_times(once: bytes, again: bytes) -> io.BytesIO:
    """A list of `once`, then a thousand of `again`, which use it anew."""
    return program(b"](", once, 1000 * again, b"e")


def test_one_list_does_not_fill_thousands_of_arrays():
    """Each would be a new one, of 800,000 bytes, for some eighty in the file."""
    shape = b"J" + struct.pack("<i", 100_000) + b"\x85"
    head = half_an_array() + b"(K\x01" + shape + b"cnumpy\ndtype\nX\x02\x00\x00\x00O8\x85R\x89"
    items = b"](" + 100_000 * b"N" + b"eq\x07"
    assert len(plain_pickle.run(many_times(head + items + b"tb", b""))[0]) == 100_000
    with pytest.raises(ValueError, match=r"its pickle of [\d,]+ bytes would take many times"):
        plain_pickle.run(many_times(head + items + b"tb", head + b"h\x07tb"))


def test_one_text_does_not_become_thousands_of_bytes():
    text = b"X" + struct.pack("<I", 100_000) + b"a" * 100_000
    call = b"X\x06\x00\x00\x00latin1\x86R"
    again = b"c_codecs\nencode\nh\x00" + call
    with pytest.raises(ValueError, match="would take many times"):
        plain_pickle.run(many_times(b"c_codecs\nencode\n" + text + b"q\x00" + call, again))


def test_half_an_array_is_refused():
    with pytest.raises(ValueError, match="an array without content"):
        plain_pickle.run(program(b"]", half_an_array(), b"a"))


def test_bytes_told_as_text_are_of_one_coding():
    told = b"c_codecs\nencode\n(X\x02\x00\x00\x00\xc3\xa9X"
    found = plain_pickle.run(program(told, b"\x06\x00\x00\x00latin1tR"))
    assert found == b"\xe9"
    with pytest.raises(ValueError, match="bytes as 'utf-8'"):
        plain_pickle.run(program(told, b"\x05\x00\x00\x00utf-8tR"))


def test_a_dictionary_with_a_default_is_named_with_its_remedy():
    with pytest.raises(ValueError, match=r"collections\.defaultdict.*plain one with dict\("):
        plain_pickle.run(io.BytesIO(pickle.dumps(defaultdict(list, a=[1]))))


def test_a_pickle_that_announces_a_terabyte(tmp_path):
    path = tmp_path / "a.npy"
    for code in (b"\x8e", b"\x8d", b"\x96", b"\x95"):  # bytes, text, bytearray, a frame
        object_file(path, b"\x80\x04" + code + struct.pack("<Q", 1 << 40) + b"N.")
        with pytest.raises(ValueError, match=r"a\.npy: it announces more"):
            safe_pickle.read_npy(path)


def test_a_place_that_makes_pickle_reserve_gigabytes_is_refused():
    """The compiled reader makes room for twice as many remembered values as the largest number."""
    with pytest.raises(ValueError, match="remembers value 4,000,000,000 of 2: it is damaged"):
        plain_pickle.run(program(b"Nr" + struct.pack("<I", 4_000_000_000)))


def test_memory_stays_in_proportion_to_the_file():
    """Of all spoilt pickles, none takes more than a few times its own size."""
    table = {"S1": {"Eating": [np.ones((2, 17, 2), np.float32)] * 4, "n": [1, 2.5, None, "a"]}}
    tracemalloc.start()
    for seed in range(300):
        rng = np.random.default_rng(seed)
        content = bytearray(pickle.dumps(table, int(rng.integers(2, 6))))
        for place in rng.integers(len(content), size=int(rng.integers(1, 20))):
            content[place] = int(rng.choice([0x7F, 0xFF, rng.integers(256)]))
        try:
            plain_pickle.run(io.BytesIO(bytes(content)))
        except ValueError:
            pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6, f"{peak:,} bytes"


def test_an_array_that_announces_a_terabyte(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(100))
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content.replace(b"(100,), ", b"(1<<40,)"))
    with pytest.raises(ValueError, match=r"a\.npy"):
        safe_pickle.read_npy(tmp_path / "a.npy")
    (tmp_path / "a.npy").write_bytes(
        content.replace(b"(100,)", b"(9**9)").replace(b"9**9", b"9999")
    )
    with pytest.raises(ValueError, match=r"a\.npy"):
        safe_pickle.read_npy(tmp_path / "a.npy")


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_packings_are_refused_before_they_are_unpacked(packing, tmp_path):
    """Python unpacks a whole chunk of these, whatever the archive says of its size."""
    content = io.BytesIO()
    np.save(content, np.zeros(8))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", packing) as archive:
        archive.writestr("a.npy", content.getvalue())
    with pytest.raises(ValueError, match="a.npy is packed in another way than NumPy's; save it"):
        safe_pickle.read_npz(tmp_path / "a.npz", ["a"])


def test_a_key_of_thousands_of_digits_is_refused():
    """Whole numbers have the same hash again and again: a dictionary of them takes for ever."""
    with pytest.raises(ValueError, match="a whole number of more than 64 bits"):
        plain_pickle.run(io.BytesIO(pickle.dumps({n * (2**61 - 1): 0 for n in range(1, 99)}, 2)))


def test_bombs_are_refused_before_they_are_unpacked(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", bomb=np.zeros(1 << 22))
    with pytest.raises(ValueError, match="bomb"):
        safe_pickle.read_npz(tmp_path / "a.npz", ["bomb"])
    np.savez(tmp_path / "b.npz", large=np.zeros(1000))
    monkeypatch.setattr(safe_pickle, "LIMIT", 1000)
    with pytest.raises(ValueError, match=r"b\.npz: large\.npy would take"):
        safe_pickle.read_npz(tmp_path / "b.npz", ["large"])


def test_two_fields_of_one_name(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros(2))
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive, pytest.warns(UserWarning):
        archive.writestr("x.npy", b"")
    with pytest.raises(ValueError, match="same name"):
        safe_pickle.read_npz(tmp_path / "a.npz", ["x"])


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>", b"version 1", b"PK\3\4"])
def test_what_is_no_archive_is_named(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npz cannot be read .*copy or make it again"):
        safe_pickle.read_npz(tmp_path / "a.npz", ["x"])


LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12345\n"


def test_a_pointer_in_place_of_the_file_says_how_to_fetch_it(tmp_path):
    for name, read in (("a.npz", safe_pickle.fields_of), ("a.npy", safe_pickle.read_npy)):
        (tmp_path / name).write_bytes(LFS_POINTER)
        with pytest.raises(ValueError, match=rf"{name} is not the file but .*; run `git lfs pull`"):
            read(tmp_path / name)


def test_missing_file_and_dead_link_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        safe_pickle.read_npz(tmp_path / "a.npz", ["x"])
    (tmp_path / "a.npz").symlink_to(tmp_path / "gone.npz")
    with pytest.raises(FileNotFoundError, match=r"link to .*gone\.npz"):
        safe_pickle.read_npz(tmp_path / "a.npz", ["x"])


def test_a_flipped_bit_is_found(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros(1000))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match="CRC"):
        safe_pickle.read_npz(tmp_path / "a.npz", ["x"])
