"""What the README shows is what the results say, and its code runs."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from posebook import lifting
from posebook.data.recorded.rig import human36m_rig

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def headline(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import headline as module

    yield module
    sys.modules.pop("headline", None)


def test_the_headline_table_is_that_of_the_results(headline):
    assert headline.headline() in README, "run `python tools/headline.py`"
    assert headline.cost() in README, "run `python tools/headline.py`"


def test_the_landing_page_shows_the_results(headline):
    written = headline.LANDING.read_text(encoding="utf-8")
    assert written == headline.landing(), "run `python tools/headline.py`"


def test_the_picture_is_that_of_the_page(headline):
    assert headline.PICTURE.read_bytes() == headline.picture(), "run `python tools/headline.py`"


def test_the_code_for_own_footage_runs(monkeypatch):
    """Two cameras, noise for joints, a tiny profile: the lines work as they are printed."""
    monkeypatch.setitem(lifting.rows.PROFILES, "laptop", lifting.rows.PROFILES["smoke"])
    first, second = human36m_rig("S1")[:2]
    rng = np.random.default_rng(0)
    joints = rng.uniform(300, 700, (2, 80, 17, 2)).astype(np.float32)
    sure = np.ones((80, 17), dtype=np.float32)
    names = {
        "R": first.R, "T": first.T, "focal": first.focal, "principal": first.principal,
        "resolution": first.resolution, "right": second,
        "joints_left": joints[0], "joints_right": joints[1], "sure_left": sure, "sure_right": sure,
    }  # fmt: skip
    for block in re.findall(r"```python\n(.*?)```", README, flags=re.S):
        exec(block, names)
    assert names["poses"].shape == (80, 2, 17, 3)
