"""Pictures of any kind come out the same; what cannot be read is named."""

import cv2
import numpy as np
import pytest

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
    from PIL import Image

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


@pytest.mark.parametrize("content", [b"", b"not a picture at all", b"\x00" * 500])
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
    for bad in (colours.astype(float), colours[0, 0], np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ValueError, match="a picture must be"):
            picture(bad)


# ---------------------------------------------------------------- video


def write_video(path, frames, size=(64, 48)):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, size)
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

    def release(self):
        pass


def test_a_video_that_changes_its_size_is_refused_or_resized(tmp_path, monkeypatch):
    (tmp_path / "v.avi").write_bytes(b"x")
    monkeypatch.setattr(cv2, "VideoCapture", Changing)
    with pytest.raises(ValueError, match=r"v\.avi: frame 2 has 40 x 30 pixels, the first one 64"):
        list(read_video(tmp_path / "v.avi"))
    found = list(read_video(tmp_path / "v.avi", resize=True))
    assert [f.shape for f in found] == [(48, 64, 3)] * 3


def test_what_is_no_video_is_refused_by_name(tmp_path):
    (tmp_path / "v.avi").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"v\.avi: no frame of this video can be read"):
        list(read_video(tmp_path / "v.avi"))
    with pytest.raises(FileNotFoundError, match=r"absent\.avi: there is no such video"):
        list(read_video(tmp_path / "absent.avi"))
