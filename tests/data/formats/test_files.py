import pytest
from PIL import Image

from posebook.data.formats.files import (
    names_in,
    numbered_pictures,
    picture_size,
    read_json,
)


@pytest.fixture
def three(tmp_path):
    for number in (1, 2, 3):
        (tmp_path / f"{number:03d}.png").touch()
    return tmp_path


def test_names_are_sorted_and_hidden_ones_left_out(three):
    (three / "._001.png").touch()  # as archives made on a Mac have them
    assert names_in(three) == ["001.png", "002.png", "003.png"]


def test_names_that_differ_in_case_only_are_refused(three):
    (three / "002.PNG").touch()
    with pytest.raises(ValueError, match="002.PNG and 002.png, which differ in case only; keep"):
        names_in(three)


def test_a_folder_that_is_none(three, tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder .*absent"):
        names_in(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match="no folder .*001.png"):
        names_in(three / "001.png")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(FileNotFoundError, match="is a link to .*loop, which is not there"):
        names_in(tmp_path / "loop")


def test_pictures_are_numbered_from_one(three):
    found = numbered_pictures(three, "{:03d}.png", 3, "look again")
    assert found == tuple(three / f"{number:03d}.png" for number in (1, 2, 3))


def test_missing_and_surplus_pictures(three):
    with pytest.raises(FileNotFoundError, match="lacks 004.png: .* 5 pictures, 2 of them are not"):
        numbered_pictures(three, "{:03d}.png", 5, "look again")
    with pytest.raises(ValueError, match="003.png and the labels end at 2: .*; look again"):
        numbered_pictures(three, "{:03d}.png", 2, "look again")


def test_a_folder_in_place_of_a_file(tmp_path):
    with pytest.raises(OSError, match="cannot be read .Is a directory.; look again"):
        read_json(tmp_path, "look again")


def test_json_with_a_mark_of_byte_order(tmp_path):
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / "a.json", "look again") == {"a": 1}


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[" * 10**6])
def test_what_is_no_json(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match="a.json is no JSON or cut short .*; look again"):
        read_json(tmp_path / "a.json", "look again")


@pytest.mark.parametrize("kind", ["RGB", "P", "L"])
def test_the_size_of_a_picture_comes_from_its_head(tmp_path, kind):
    path = tmp_path / "a.png"
    Image.new(kind, (31, 17)).save(path)
    path.write_bytes(path.read_bytes()[:60])  # the rest is not looked at
    assert picture_size(path) == (31, 17)


def test_what_is_no_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(b"<html>")
    with pytest.raises(ValueError, match="a.png: cannot be read as a picture"):
        picture_size(tmp_path / "a.png")


def test_a_pointer_of_git_lfs_is_no_picture_and_no_json(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    for read in (picture_size, lambda path: read_json(path, "look again")):
        with pytest.raises(ValueError, match="a.png is not the file but .*; run `git lfs pull` in"):
            read(path)


def test_a_missing_folder_is_told_with_its_remedy(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder .*absent .*; look again"):
        numbered_pictures(tmp_path / "absent", "{:03d}.png", 3, "look again")
