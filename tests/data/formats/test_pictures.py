"""Pictures of any kind come out the same; what cannot be read is named."""

import operator
import re
import struct
import zlib

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageOps

from posebook.data.formats.files import picture_size
from posebook.data.formats.pictures import picture, read_picture, read_video


@pytest.fixture
def colours():
    small = np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    return cv2.resize(small, (61, 47), interpolation=cv2.INTER_NEAREST)


def write(path, rgb):
    cv2.imwrite(str(path), rgb[..., ::-1] if rgb.ndim == 3 else rgb)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff"])
def test_a_picture_comes_back_in_rgb(suffix, colours, tmp_path):
    assert np.array_equal(read_picture(write(tmp_path / f"a.{suffix}", colours)), colours)


def test_a_jpeg_of_odd_size_comes_back_nearly(colours, tmp_path):
    smooth = cv2.GaussianBlur(colours, (0, 0), 6)
    found = read_picture(write(tmp_path / "a.jpg", smooth))
    assert found.shape == (47, 61, 3)
    assert np.abs(found.astype(int) - smooth).mean() < 4


def test_grey_palette_and_transparent_pictures_become_coloured(colours, tmp_path):
    grey = colours[..., 0]
    found = read_picture(write(tmp_path / "grey.png", grey))
    assert np.array_equal(found, np.repeat(grey[..., None], 3, 2))
    Image.fromarray(colours).quantize(64).save(tmp_path / "palette.png")
    assert np.array_equal(
        read_picture(tmp_path / "palette.png"),
        np.asarray(Image.fromarray(colours).quantize(64).convert("RGB")),
    )
    Image.fromarray(colours).convert("RGBA").save(tmp_path / "alpha.png")
    assert np.array_equal(read_picture(tmp_path / "alpha.png"), colours)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_cut_off_picture_is_refused_by_name(suffix, colours, tmp_path):
    path = write(tmp_path / f"half.{suffix}", colours)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=rf"half\.{suffix}: the picture is cut off; fetch"):
        read_picture(path)


HUGE = struct.pack(">I4sIIBBBBB", 13, b"IHDR", 1 << 17, 1 << 17, 8, 2, 0, 0, 0)
HUGE = b"\x89PNG\r\n\x1a\n" + HUGE + struct.pack(">I", zlib.crc32(HUGE[4:]))
HUGE += struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))  # announces 2^34 pixels


@pytest.mark.parametrize("content", [b"", b"not a picture at all", b"\x00" * 500, HUGE])
def test_what_is_no_picture_is_refused_by_name(content, tmp_path):
    (tmp_path / "notes.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"notes\.png: this is no picture that can be read"):
        read_picture(tmp_path / "notes.png")


def test_a_missing_picture_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.png: there is no such picture"):
        read_picture(tmp_path / "absent.png")


def test_arrays_pass_and_others_are_refused(colours, tmp_path):
    assert picture(colours) is colours or np.array_equal(picture(colours), colours)
    assert picture(colours[..., 0]).shape == (47, 61, 3)
    assert picture(colours[..., :1]).shape == (47, 61, 3)
    assert np.array_equal(picture(write(tmp_path / "a.png", colours)), colours)
    for bad in (
        *(colours.astype(kind) for kind in (float, bool, np.uint16)),
        np.dstack([colours, colours]), colours[None], colours[0, 0], np.zeros((0, 4, 3), np.uint8),
        colours.tolist(), None, Image.fromarray(colours[..., 0].astype(np.int32)),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="must (be|have)[^;]*got [^;]*; "):
            picture(bad)


def test_tensors_and_pillow_images_are_pictures_and_what_is_rgb_is_not_copied(colours):
    assert picture(colours).base is colours
    assert np.array_equal(picture(torch.from_numpy(colours)), colours)
    assert np.array_equal(picture(torch.from_numpy(colours).permute(2, 0, 1)), colours)
    for mode in ("RGB", "RGBA", "L", "LA", "P", "CMYK"):
        image = Image.fromarray(colours).convert(mode)
        assert np.array_equal(picture(image), np.asarray(image.convert("RGB")))


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_arrays_of_every_unambiguous_shape_are_the_same_picture(data):
    """Built from planes, so that what is expected never goes through the code's own reshaping."""
    h, w = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    red, green, blue, alpha = data.draw(arrays.arrays(np.uint8, (4, h, w)))
    rgb, grey = np.dstack([red, green, blue]), np.dstack([red, red, red])
    assert np.array_equal(picture(np.dstack([red, green, blue, alpha])), rgb)
    assert np.array_equal(picture(rgb), rgb)
    for array in (np.dstack([red]), np.dstack([red, alpha])):
        assert np.array_equal(picture(array), grey)
    assert np.array_equal(picture(red), grey)
    if w > 4:
        assert np.array_equal(picture(np.stack([red, green, blue])), rgb)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_upright_as_its_exif_says(orientation, suffix, colours, tmp_path):
    """The independent reading is Pillow's."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    smooth = Image.fromarray(cv2.GaussianBlur(colours, (0, 0), 6))
    smooth.save(tmp_path / f"a.{suffix}", exif=exif, quality=95)
    with Image.open(tmp_path / f"a.{suffix}") as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        assert np.array_equal(picture(image), expected)
    found = read_picture(tmp_path / f"a.{suffix}")
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 6
    assert picture_size(tmp_path / f"a.{suffix}") == found.shape[1::-1]


def test_sixteen_bits_become_eight_and_cmyk_becomes_rgb(tmp_path):
    deep = (np.arange(6000).reshape(60, 100) * 10).astype(np.uint16)
    found = read_picture(write(tmp_path / "deep.png", deep))
    assert np.array_equal(found, np.dstack([deep // 256] * 3))
    ink = Image.new("CMYK", (32, 16), (255, 0, 128, 0))
    ink.save(tmp_path / "ink.jpg", quality=95)
    assert np.abs(read_picture(tmp_path / "ink.jpg").astype(int) - (0, 255, 127)).max() <= 2


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_is_whole_by_its_content_and_not_by_its_last_bytes(progressive, colours, tmp_path):
    path = tmp_path / "a.jpg"
    flat = np.full((64, 64, 3), 255, np.uint8)  # looks like lacking data, and is not
    for pixels in (np.kron(colours, np.ones((3, 3, 1), np.uint8)), flat):
        Image.fromarray(pixels).save(path, progressive=progressive)
        whole = path.read_bytes()
        expected = read_picture(path)
        path.write_bytes(whole + bytes(500))
        assert np.array_equal(read_picture(path), expected)
    Image.fromarray(np.kron(colours, np.ones((3, 3, 1), np.uint8))).save(
        path, progressive=progressive
    )
    whole = path.read_bytes()
    for left in (len(whole) // 2, len(whole) * 3 // 4, len(whole) - 400):
        path.write_bytes(whole[:left] + b"\xff\xd9")
        with pytest.raises(ValueError, match=r"a\.jpg: the picture is cut off; fetch"):
            read_picture(path)


def test_a_png_is_whole_by_its_content_and_not_by_its_last_bytes(colours, tmp_path):
    whole = write(tmp_path / "a.png", colours).read_bytes()
    (tmp_path / "a.png").write_bytes(whole + bytes(500))
    assert np.array_equal(read_picture(tmp_path / "a.png"), colours)
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2] + whole[-12:])
    with pytest.raises(ValueError, match=r"a\.png: the picture is cut off; fetch"):
        read_picture(tmp_path / "a.png")


# ---------------------------------------------------------------- video


def write_video(path, frames, size=(64, 48), code="MJPG"):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), 25, size)
    for level in range(frames):
        writer.write(np.full((size[1], size[0], 3), (0, 0, 20 * level), np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize("frames", [1, 5])
def test_a_video_is_read_frame_by_frame_in_rgb(frames, tmp_path):
    found = list(read_video(write_video(tmp_path / "v.avi", frames)))
    assert len(found) == frames and found[0].shape == (48, 64, 3)
    assert all(abs(int(f[..., 0].mean()) - 20 * k) < 6 for k, f in enumerate(found))


class Changing:
    """A video whose third frame has another size, as OpenCV would give it."""

    def __init__(self, _):
        self.sizes = [(48, 64), (48, 64), (30, 40)]

    def read(self):
        if not self.sizes:
            return False, None
        return True, np.zeros((*self.sizes.pop(0), 3), np.uint8)

    def get(self, _):
        return 0.0  # as of a video that tells nothing of itself

    def release(self):
        pass


def test_a_video_that_changes_its_size_is_refused(tmp_path, monkeypatch):
    (tmp_path / "v.avi").write_bytes(b"x")
    monkeypatch.setattr(cv2, "VideoCapture", Changing)
    with pytest.raises(ValueError, match=r"v\.avi: frame 2 has 40 x 30 pixels, the first one 64"):
        list(read_video(tmp_path / "v.avi"))


def test_what_is_no_video_is_refused_by_name(tmp_path):
    (tmp_path / "v.avi").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"v\.avi: no frame of this video can be read"):
        list(read_video(tmp_path / "v.avi"))
    with pytest.raises(FileNotFoundError, match=r"absent\.avi: there is no such video"):
        list(read_video(tmp_path / "absent.avi"))


def gap(raw, start, end):
    """Bytes with zeros from one share of them to another."""
    a, b = int(len(raw) * start), int(len(raw) * end)
    return raw[:a] + bytes(b - a) + raw[b:]


DAMAGES = {
    "cut.avi": lambda raw: raw[: len(raw) * 6 // 10],
    "hole.avi": lambda raw: gap(raw, 0.4, 0.5),
    "end.mp4": lambda raw: gap(raw, 0.6, (raw.find(b"moov") - 4) / len(raw)),
    "hole.mp4": lambda raw: gap(raw, 0.4, 0.5),
    "cut.webm": lambda raw: raw[: len(raw) * 6 // 10],
    "end.webm": lambda raw: raw[: len(raw) * 9 // 10],
}
CODES = {".avi": "MJPG", ".mp4": "mp4v", ".webm": "VP80"}


def moving(path, frames=50):
    """A video of noise that moves: each frame has its own data."""
    size, rng = (160, 96), np.random.default_rng(0)
    code = cv2.VideoWriter_fourcc(*CODES[path.suffix])
    writer = cv2.VideoWriter(str(path), code, 25, size)
    for k in range(frames):
        frame = np.full((96, 160, 3), (10, 40, 90), np.uint8)
        frame[:20, :30] = 250
        frame[40:60, k : k + 20] = rng.integers(0, 255, (20, 20, 3))
        writer.write(frame)
    writer.release()
    return path


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_video_is_refused_with_both_numbers_of_frames(name, tmp_path):
    path = moving(tmp_path / name)
    assert sum(1 for _ in read_video(path)) == 50
    path.write_bytes(DAMAGES[name](path.read_bytes()))
    frames = read_video(path)
    with pytest.raises(ValueError, match=r"the video is cut short, has a hole or") as refusal:
        seen = 0
        for _ in frames:
            seen += 1
    said = rf"{name}: {seen} frames could be read and its header announces 50;"
    assert 0 < seen < 50 and re.search(said, str(refusal.value))


def test_frames_that_the_header_does_not_know_are_refused_too(tmp_path):
    """The number of frames stands 32 bytes behind the head of an AVI's `strh` chunk."""
    path = moving(tmp_path / "a.avi")
    raw = bytearray(path.read_bytes())
    at = raw.find(b"strh") + 8 + 32
    assert struct.unpack("<I", raw[at : at + 4]) == (50,)
    raw[at : at + 4] = struct.pack("<I", 40)
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="50 frames could be read and its header announces 40"):
        list(read_video(path))


@pytest.mark.filterwarnings("error")
def test_an_intact_video_says_how_many_frames_come(tmp_path):
    frames = read_video(moving(tmp_path / "a.mp4"))
    assert operator.length_hint(frames) == 50
    next(frames)
    assert operator.length_hint(frames) == 49 and len(list(frames)) == 49


def test_a_hole_without_a_count_is_warned_of(tmp_path):
    path = moving(tmp_path / "a.webm")
    path.write_bytes(gap(path.read_bytes(), 0.4, 0.5))
    with pytest.warns(UserWarning, match=r"a\.webm: its frames come .* behind frame \d+; the rate"):
        assert sum(1 for _ in read_video(path)) < 50


def test_a_varying_rate_is_said(tmp_path):
    """20 of the 50 samples last twice as long by the table of times, which ends the file."""
    raw = moving(tmp_path / "a.mp4").read_bytes()
    at = raw.find(b"stts")
    count, ticks = struct.unpack(">II", raw[at + 12 : at + 20])
    table = struct.pack(">I4s6I", 32, b"stts", 0, 2, 30, ticks, 20, 2 * ticks)
    longer = bytearray(raw[: at - 4] + table + raw[at + 20 :])
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        where = longer.find(name) - 4
        length = struct.unpack(">I", longer[where : where + 4])[0] + 8
        longer[where : where + 4] = struct.pack(">I", length)
    path = tmp_path / "varying.mp4"
    path.write_bytes(bytes(longer).replace(b"edts", b"free"))
    assert count == 50
    with pytest.warns(UserWarning, match=r"varying\.mp4: its frames come 40 to 80 ms apart"):
        assert sum(1 for _ in read_video(path)) == 50


def test_a_video_of_a_phone_held_upright_is_read_upright(tmp_path):
    """The flag says a quarter turn clockwise: the upper left corner goes to the upper right."""
    raw = bytearray(moving(tmp_path / "a.mp4").read_bytes())
    at = raw.find(b"tkhd") + 44
    assert struct.unpack(">9i", raw[at : at + 36]) == (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    turn = (0, 1 << 16, 0, -(1 << 16), 0, 0, 96 << 16, 0, 1 << 30)
    raw[at : at + 36] = struct.pack(">9i", *turn)
    (tmp_path / "a.mp4").write_bytes(bytes(raw))
    frame = next(read_video(tmp_path / "a.mp4"))
    assert frame.shape == (160, 96, 3)
    y, x = np.argwhere(frame.min(-1) > 200).mean(0)
    assert abs(y - 14.5) < 2 and abs(x - 85.5) < 2  # 20 x 30 pixels, turned, at the right edge
