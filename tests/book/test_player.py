"""Figures that turn hold the poses they were given, and a picture for those without a script."""

import base64
import json
import re

import cv2
import numpy as np
import pytest
from bs4 import BeautifulSoup

from posebook.book.player import (
    BEHIND,
    SHEET_COLUMNS,
    STRIP_ANGLES,
    STRIP_FRAMES,
    film,
    player,
)
from posebook.geometry.skeleton import H36M, JHMDB
from posebook.lifting.examples import as_large_as

POSE = np.random.default_rng(0).uniform(-1, 1, (5, len(H36M), 3))


def parse(shown):
    page = BeautifulSoup(shown.data, "html.parser")
    return page, json.loads(page.find("script").string)


def joints_of(data, name):
    [body] = [body for body in data["bodies"] if body["name"] == name]
    return np.frombuffer(base64.b64decode(body["at"]), "<i2").reshape(-1, len(H36M), 3) / 1000


def test_the_data_is_the_poses_to_half_a_millimetre_about_one_middle():
    far = POSE + [1, 0, 4]
    page, data = parse(player({"truth": far, "lifted": far + 0.25}, "two bodies", behind="truth"))
    assert data["frames"] == 5 and data["joints"] == 17
    assert [body["behind"] for body in data["bodies"]] == [True, False]
    lifted, truth = (joints_of(data, name) for name in ("lifted", "truth"))
    np.testing.assert_allclose(lifted - truth, 0.25, atol=1e-3)
    np.testing.assert_allclose(np.ptp(truth - POSE, axis=(0, 1)), 0, atol=1e-3)
    np.testing.assert_allclose(truth.min((0, 1)) + truth.max((0, 1)), 0, atol=2e-3)
    every = np.concatenate([truth, lifted])
    assert 1000 * 2 * np.hypot(every[..., 0], every[..., 2]).max() <= data["size"]
    sides = [data["colors"][side] for *_, side in data["bones"]]
    assert len(sides) == 16 and len(set(sides)) == 3


def test_without_a_script_there_is_a_strip_with_its_words():
    page, _ = parse(player({"a": POSE[0], "b": POSE[0]}, "two <people>", caption="x < y"))
    strip = page.find("svg")
    assert strip["aria-label"] == "two <people>" and page.find("figcaption").text == "x < y"
    drawn = "".join(path["d"] for path in strip("path"))
    assert drawn.count("M") == 2 * 3 * 16 and [t.text[0] for t in strip("text")] == ["a", "b"]
    x = [float(number) for number in re.findall(r"[ML]([-.0-9]+) ", drawn)]
    assert min(x) >= 0 and max(x) <= 330


def lines_of(paths):
    """Each line as x and y of its begin and of its end."""
    number = "([-.0-9]+)"
    found = [re.findall(f"M{number} {number}L{number} {number}", path["d"]) for path in paths]
    return np.concatenate(found).astype(float)


def test_what_is_away_from_the_camera_comes_to_the_right_as_a_body_turns():
    """All joints in one place, but the head a metre above and behind them: a line in each cell."""
    body = np.tile([7.0, 0.0, 5.0], (len(H36M), 1))
    body[H36M.index("Head")[0]] += [0, -1, 1]
    page, _ = parse(player({"a": body}, "one body"))
    lines = lines_of(page.find("svg")("path"))
    begin, end = lines[lines[:, 1] != lines[:, 3]].reshape(3, 2, 2).swapaxes(0, 1)
    np.testing.assert_allclose((begin + end) / 2, [[55, 62], [165, 62], [275, 62]], atol=0.1)
    metre = 110 / 1.03
    across = metre * np.sin(np.deg2rad(STRIP_ANGLES))
    np.testing.assert_allclose(end - begin, np.stack([across, [-metre] * 3], 1), atol=0.11)


def test_a_missing_joint_is_no_line():
    body = POSE[0].copy()
    body[H36M.index("LWrist")[0]] = np.nan
    page, data = parse(player({"a": body}, "one body"))
    drawn = "".join(path["d"] for path in page.find("svg")("path"))
    assert drawn.count("M") == 3 * 15 and (joints_of(data, "a")[0, 13] == -32.768).all()


def test_each_body_may_have_its_own_behind_it_and_a_slider_in_the_place_of_time():
    bodies = {"a": POSE, "b": POSE, "seen a": POSE, "seen b": POSE}
    behind = {"a": "seen a", "b": "seen b"}
    steps = [f"{k} m" for k in range(5)]
    _, data = parse(player(bodies, "x", behind=behind, knob="depth", steps=steps))
    assert [(b["behind"], b["of"]) for b in data["bodies"]] == [
        (False, ""), (False, ""), (True, "a"), (True, "b")
    ]  # fmt: skip
    assert data["steps"] == steps and data["knob"] == "depth"
    with pytest.raises(ValueError, match="a step for each frame, not 4"):
        player(bodies, "x", steps=steps[:4])
    with pytest.raises(ValueError, match="none of a"):
        player({"a": POSE}, "x", behind={"a": "b"})


def test_a_strip_has_behind_each_body_its_own_and_no_other():
    bodies = {"a": POSE, "b": 0.5 * POSE, "seen a": POSE, "seen b": 0.5 * POSE}
    page, _ = parse(player(bodies, "x", behind={"a": "seen a", "b": "seen b"}))
    drawn = page.find("svg")("path")
    assert len(drawn) == 2 * 3 * 4
    for grey, *sides in zip(*[iter(drawn)] * 4, strict=True):
        assert grey["stroke"] == BEHIND and len({side["stroke"] for side in sides}) == 3
        assert sorted(lines_of([grey]).tolist()) == sorted(lines_of(sides).tolist())
    page, _ = parse(player(bodies, "x", behind="seen b"))
    strokes = [path["stroke"] for path in page.find("svg")("path")]
    assert len(strokes) == 3 * 3 * 4 and strokes[::4] == [BEHIND] * 9


def test_a_name_cannot_end_the_data():
    page, data = parse(player({"</script><b>": POSE[0]}, "one"))
    assert data["bodies"][0]["name"] == "</script><b>" and page.find("b") is None


@pytest.mark.parametrize(
    ("bodies", "behind", "message"),
    [
        ({"a": POSE, "b": POSE[0]}, "", "must have one shape"),
        ({"a": POSE[:, :16]}, "", r"must be \(T, 17, 3\)"),
        ({"a": POSE[:0]}, "", "at least one frame"),
        ({"a": POSE}, "truth", "none of a"),
    ],
)
def test_what_does_not_fit_is_refused(bodies, behind, message):
    with pytest.raises(ValueError, match=message):
        player(bodies, "x", behind=behind)


def test_a_body_is_scaled_to_its_picture():
    truth = POSE[0]
    flat = 3 * truth * [1, 1, 0]
    scaled, factor = as_large_as(flat, truth)
    assert factor == pytest.approx(3)
    np.testing.assert_allclose(scaled[:, :2], truth[:, :2])


# Eight frames, each of one grey, 24 pixels wide and 16 high.
GREYS = np.arange(0, 240, 30, dtype=np.uint8)
PICTURES = np.broadcast_to(GREYS[:, None, None, None], (8, 16, 24, 3))
POINTS = np.random.default_rng(1).uniform(0, [23, 15], (8, len(JHMDB), 2))


def test_a_film_holds_each_picture_once_and_the_joints_to_a_tenth_of_a_pixel():
    gone = np.full_like(POINTS, np.nan)
    shown = film(PICTURES, {"as it is": gone, "joints": POINTS}, "x", joint_set=JHMDB)
    page, data = parse(shown)
    [image] = page("image")
    head, content = image["href"].split(",")
    sheet = cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_COLOR)
    assert head == "data:image/webp;base64" and sheet.shape == (32, 24 * SHEET_COLUMNS, 3)
    cells = sheet[..., 0].reshape(2, 16, SHEET_COLUMNS, 24).mean(axis=(1, 3)).ravel()
    np.testing.assert_allclose(cells[:8], GREYS, atol=3)
    assert data["film"] == [24, 16, SHEET_COLUMNS] and data["steps"][-1] == "8 of 8"
    [body] = [body for body in data["bodies"] if body["name"] == "joints"]
    at = np.frombuffer(base64.b64decode(body["at"]), "<i2").reshape(8, len(JHMDB), 3)
    np.testing.assert_allclose(at[..., :2] / 10 + [11.5, 7.5], POINTS, atol=0.051)
    assert not at[..., 2].any()


def test_without_a_script_a_film_is_a_strip_of_stills():
    page, _ = parse(film(PICTURES, {"a": POINTS, "b": POINTS}, "two <people>", joint_set=JHMDB))
    cells = page.find("svg")("svg")
    assert [cell["viewbox"] for cell in cells[:STRIP_FRAMES]] == [
        "0 0 24 16", "48 0 24 16", "120 0 24 16", "24 16 24 16",
    ]  # fmt: skip
    assert all(cell.find("use")["href"] == "#" + page.find("image")["id"] for cell in cells)
    drawn = "".join(path["d"] for path in page("path"))
    assert drawn.count("M") == 2 * STRIP_FRAMES * len(JHMDB.bones)
    assert page.find("svg")["aria-label"] == "two <people>"


@pytest.mark.parametrize(
    ("joints", "behind", "message"),
    [({"a": POINTS[:7]}, "", r"'a' must be \(8, 15, 2\)"), ({"a": POINTS}, "b", "none of a")],
)
def test_a_film_that_does_not_fit_is_refused(joints, behind, message):
    with pytest.raises(ValueError, match=message):
        film(PICTURES, joints, "x", behind=behind, joint_set=JHMDB)
