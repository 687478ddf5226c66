"""Figures that turn hold the poses they were given, and a picture for those without a script."""

import base64
import json
import re

import numpy as np
import pytest
from bs4 import BeautifulSoup

from posebook.book.player import player
from posebook.geometry.skeleton import H36M
from posebook.lifting.examples import as_large_as

POSE = np.random.default_rng(0).uniform(-1, 1, (5, len(H36M), 3))


def parse(shown):
    page = BeautifulSoup(shown.data, "html.parser")
    return page, json.loads(page.find("script").string)


def joints_of(data, name):
    [body] = [body for body in data["bodies"] if body["name"] == name]
    return np.frombuffer(base64.b64decode(body["at"]), "<i2").reshape(-1, len(H36M), 3) / 1000


def test_the_data_is_the_poses_to_half_a_millimetre_about_one_middle():
    page, data = parse(player({"truth": POSE, "lifted": POSE + 0.25}, "two bodies", behind="truth"))
    assert data["frames"] == 5 and data["joints"] == 17
    assert [body["behind"] for body in data["bodies"]] == [True, False]
    lifted, truth = (joints_of(data, name) for name in ("lifted", "truth"))
    np.testing.assert_allclose(lifted - truth, 0.25, atol=1e-3)
    np.testing.assert_allclose(np.ptp(truth - POSE, axis=(0, 1)), 0, atol=1e-3)
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
