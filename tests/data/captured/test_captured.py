"""Motion files that readers bring: the right joints in the right places, or a sentence that says
why not."""

import json
from dataclasses import replace

import numpy as np
import pytest

from posebook.data.captured.asf import read_amc
from posebook.data.captured.bvh import read_bvh
from posebook.data.captured.c3d import read_c3d
from posebook.data.captured.capture import Capture
from posebook.data.captured.clips import (
    UNITS,
    UPS,
    Wishes,
    read_clip,
    read_clips,
    to_clip,
    write_clips,
)  # fmt: skip
from posebook.data.captured.joints import MAPS, read_map, to_h36m
from posebook.data.recorded.body import bone_lengths
from posebook.data.recorded.motion import MotionClip, load_motion
from posebook.data.recorded.views import ViewsSize, make_views
from posebook.data.sources import load_views
from posebook.footage.export import write_bvh, write_c3d
from posebook.geometry.skeleton import H36M

CLIPS = {clip.name: clip for clip in load_motion()}
WALK, SPIN = CLIPS["walk"], CLIPS["spin"]
ARM = """HIERARCHY
ROOT Shoulder
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT rig:Elbow
  {
    OFFSET 3 0 0
    CHANNELS 3 Zrotation Yrotation Xrotation
    End Site
    {
      OFFSET 2 0 0
    }
  }
}
MOTION
Frames: 3
Frame Time: 0.02
1 2 3 0 0 0 0 0 0
0 0 0 90 0 0 0 90 0
0 0 0 90 90 0 90 0 0
"""
# By hand. Second: the upper arm points along y, the forearm's own -z stays -z. Third: about z and
# then about the new x, which is y, by 90 degrees; the forearm turns from x to the arm's own y,
# which has become z.
HAND = [[6, 2, 3], [0, 3, -2], [0, 3, 2]]
ASF = """:version 1.10
:units
  length 0.45
:root
  order TX TY TZ RX RY RZ
  axis XYZ
:bonedata
  begin
    id 1
    name thigh
    direction 0 -1 0
    length 4
    axis 0 0 90 XYZ
    dof rx rz
  end
  begin
    id 2
    name shin
    direction 0 -1 0
    length 3
    axis 0 0 0 XYZ
    dof rx
  end
:hierarchy
  begin
    root thigh
    thigh shin
  end
"""
AMC = """#comment
:FULLY-SPECIFIED
1
root 1 2 3 0 0 0
thigh 0 0
shin 0
2
root 0 0 0 0 90 0
thigh 0 0
shin 90
3
root 0 0 0 0 0 0
thigh 90 0
shin 0
"""
# By hand. Second: the body turned about y by 90 degrees; a shin that a quarter turn about x brings
# from -y to -z then points along -x. Third: the thigh's own x is the world's y, so it only spins.
ENDS = {
    "thigh": [[1, -2, 3], [0, -4, 0], [0, -4, 0]], "shin": [[1, -5, 3], [-3, -4, 0], [0, -7, 0]],
}  # fmt: skip


def written(path, text):
    path.write_text(text)
    return path


def capture_of(clip=WALK, names=H36M.names, scale=1.0, fps=50.0, turned="z"):
    """A clip as a file would hold it, with another axis up."""
    axis, sign = "xyz".index(turned[-1]), -1 if turned[0] == "-" else 1
    points = np.empty_like(clip.joints, dtype=float)
    points[..., axis] = sign * clip.joints[..., 2]
    points[..., (axis + 1) % 3] = clip.joints[..., 0]
    points[..., (axis + 2) % 3] = sign * clip.joints[..., 1]
    return Capture("file", tuple(names), scale * points, fps)


def torn(joints):
    """A hand that is a kilometre away in one frame."""
    other = joints.copy()
    other[20, H36M.index("RWrist"), 0] += 1000
    return other


def relative(joints):
    return joints - joints[:, :1]


# ---------------------------------------------------------------- formats


def test_bvh_by_hand(tmp_path):
    take = read_bvh(written(tmp_path / "a.bvh", ARM))
    assert take.names == ("Shoulder", "Elbow", "Elbow_end") and take.fps == pytest.approx(50)
    np.testing.assert_allclose(take.points[:, 2], HAND, atol=1e-12)
    np.testing.assert_allclose(take.points[:, 1], [[4, 2, 3], [0, 3, 0], [0, 3, 0]], atol=1e-12)


def test_amc_by_hand(tmp_path):
    written(tmp_path / "07.asf", ASF)
    written(tmp_path / "08.asf", "another person's")
    take = read_amc(written(tmp_path / "07_01.amc", AMC))
    assert take.names == ("root", "thigh", "shin") and take.fps == 120
    for name, places in ENDS.items():
        np.testing.assert_allclose(take.points[:, take.names.index(name)], places, atol=1e-12)


def test_our_own_bvh_comes_back(tmp_path):
    clip, said = read_clip(write_bvh(tmp_path / "walk.bvh", WALK.joints.astype(float), 50.0))
    assert clip.name == "walk" and len(clip) == len(WALK) and "cm, y up, joints by h36m17" in said
    ahead = clip.joints[..., [1, 0, 2]] * [1, -1, 1]  # a heading is nobody's business
    assert np.linalg.norm(relative(ahead) - relative(WALK.joints), axis=-1).max() < 0.005


def test_our_own_c3d_comes_back(tmp_path):
    lost = WALK.joints.astype(float)
    lost[10:13, 5] = np.nan
    clip, said = read_clip(write_c3d(tmp_path / "walk.c3d", lost, 50.0))
    off = np.linalg.norm(relative(clip.joints) - relative(WALK.joints), axis=-1)
    assert "mm, z up" in said and off.max() < 0.02 and np.delete(off, slice(10, 13), 0).max() < 1e-3
    with pytest.raises(ValueError, match="cannot be read as C3D"):
        read_c3d(written(tmp_path / "b.c3d", "no"))
    whole = (tmp_path / "walk.c3d").read_bytes()
    (tmp_path / "c.c3d").write_bytes(whole[: 3 * len(whole) // 4])
    with pytest.raises(ValueError, match=rf"announces {len(clip.joints)} frames and \d+ are there"):
        read_c3d(tmp_path / "c.c3d")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing", "does not begin with HIERARCHY"),
        (ARM.partition("MOTION")[0], "no MOTION follows"),
        (ARM.replace("OFFSET 3 0 0", "OFFSET 3 0"), "line 8, 'OFFSET 3 0', has no place"),
        (ARM.replace("3 Zrotation Y", "3 Wrotation Y"), "line 9"),
        (ARM.replace("CHANNELS 3", "CHANNELS 4"), "line 9"),
        (ARM.replace("Frames: 3", "Frames: 4"), "3 frames, `Frames:` says 4"),
        (ARM.replace("0 0 0 90 0 0 0 90 0", "0 0 0 90"), "frame 2 has 4 numbers, the skeleton 9"),
        (ARM.replace("0.02", "20"), "a frame lasts 20 s"),
        (ARM.replace("1 2 3", "1 2 ?"), "no number"),
    ],
)
def test_a_broken_bvh_is_refused_with_the_place(text, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        read_bvh(written(tmp_path / "a.bvh", text))


def test_a_broken_take_of_cmu_is_refused(tmp_path):
    amc = written(tmp_path / "07_01.amc", AMC)
    with pytest.raises(FileNotFoundError, match="put 07.asf, its skeleton, beside it"):
        read_amc(amc)
    asf = written(tmp_path / "07.asf", ASF.replace("dof rx rz", "dof rx ry rz"))
    with pytest.raises(ValueError, match="thigh has not the 3 numbers"):
        read_amc(amc)
    for bad, said in ((ASF.replace("length 4", "length four"), "line 12"),
                      (ASF.partition(":bonedata")[0], "cut short")):  # fmt: skip
        asf.write_text(bad)
        with pytest.raises(ValueError, match=said):
            read_amc(amc)


# ---------------------------------------------------------------- joints, units, axes, rates


NAMES = {
    "lafan1": "Hips RightUpLeg RightLeg RightFoot LeftUpLeg LeftLeg LeftFoot Spine1 Neck - "
    "Head_end LeftArm LeftForeArm LeftHand RightArm RightForeArm RightHand",
    "100style": "Hips RightHip RightKnee RightAnkle LeftHip LeftKnee LeftAnkle Chest2 Neck - "
    "Head_end LeftShoulder LeftElbow LeftWrist RightShoulder RightElbow RightWrist",
    "cmu": "root rhipjoint rfemur rtibia lhipjoint lfemur ltibia upperback thorax - "
    "head lclavicle lhumerus lradius rclavicle rhumerus rradius",
}


@pytest.mark.parametrize("family", NAMES)
def test_known_skeletons_are_known_by_their_names(family):
    clip, said = to_clip(capture_of(names=NAMES[family].split()), "a")
    assert f"joints by {family}" in said
    nose = H36M.names.index("Nose")
    off = np.linalg.norm(relative(clip.joints) - relative(WALK.joints), axis=-1)
    assert np.delete(off, nose, 1).max() < 1e-5 and 1e-5 < off[:, nose].max() < 0.06


def test_a_head_without_a_top_gets_one():
    names = NAMES["lafan1"].replace("Head_end", "Head").split()
    low = capture_of(names=names)
    low.points[:, 10] = (low.points[:, 8] + low.points[:, 10]) / 2  # the skull's base
    off = np.linalg.norm(relative(to_clip(low, "a")[0].joints) - relative(WALK.joints), axis=-1)
    assert off[:, 10].max() < 0.03


def test_markers_give_hips_and_the_rest():
    places = dict(zip(H36M.names, np.moveaxis(WALK.joints.astype(float), 1, 0)))
    name = {"K": "Knee", "A": "Foot", "S": "Shoulder", "E": "Elbow"}
    marks = {f"{s}{m}": places[s + name[m[0]]] for s in "LR" for m in ("KNE", "ANK", "SHO", "ELB")}
    marks |= {f"{s}WR{ab}": places[f"{s}Wrist"] for s in "LR" for ab in "AB"}
    left = places["LHip"] - places["RHip"]
    width = np.linalg.norm(left, axis=-1, keepdims=True) / 0.72
    left /= 0.72 * width
    up = places["Thorax"] - places["Hip"]
    up -= (up * left).sum(-1, keepdims=True) * left
    up /= np.linalg.norm(up, axis=-1, keepdims=True)
    ahead = np.cross(left, up)
    front = places["Hip"] + width * (0.19 * ahead + 0.30 * up)
    for side, sign in (("L", 0.5), ("R", -0.5)):
        marks[f"{side}ASI"] = front + sign * width * left
        marks[f"{side}PSI"] = front - 0.15 * ahead + sign * 0.05 * left
    take = Capture("file", tuple(marks), np.stack([*marks.values()], 1), 50.0)
    found = to_h36m(take, MAPS["markers"])
    for joint in ("LHip", "RHip", "LKnee", "RWrist", "Thorax"):
        np.testing.assert_allclose(found[:, H36M.index(joint)[0]], places[joint], atol=0.03)
    np.testing.assert_allclose(found[:, 4], places["LHip"], atol=1e-3)


@pytest.mark.parametrize("up", UPS)
def test_whichever_way_is_up(up):
    clip, said = to_clip(capture_of(turned=up), "a", Wishes(up="" if up in ("y", "z") else up))
    assert f" {up} up" in said
    np.testing.assert_allclose(relative(clip.joints), relative(WALK.joints), atol=1e-5)
    assert clip.joints[..., 2].min() == pytest.approx(0.05, abs=1e-6)


@pytest.mark.parametrize("up", ["y", "z"])
@pytest.mark.parametrize("name", ["getup_faceup", "backflip"])
def test_whoever_lies_for_a_while_is_put_upright(name, up):
    assert f" {up} up" in to_clip(capture_of(CLIPS[name], turned=up), "a")[1]


@pytest.mark.parametrize("unit", UNITS)
def test_units_are_told_by_the_size_of_the_body(unit):
    clip, said = to_clip(capture_of(scale=1 / UNITS[unit]), "a")
    assert f", {unit}, " in said
    np.testing.assert_allclose(bone_lengths(clip.joints), bone_lengths(WALK.joints), atol=1e-5)


@pytest.mark.parametrize("fps", [25.0, 30.0, 120.0])
def test_rates_become_fifty(fps):
    clip, _ = to_clip(capture_of(SPIN, fps=fps), "a")
    assert len(clip) == int((len(SPIN) - 1) / fps * 50 + 1e-6) + 1
    at = int(20 * 50 / fps)  # frames of 25 and 30 a second fall together with ours now and then
    time = at / 50 * fps
    low, high = SPIN.joints[int(time)], SPIN.joints[int(np.ceil(time))]
    expected = low + (time - int(time)) * (high - low)
    np.testing.assert_allclose(clip.joints[at] - clip.joints[at, 0], expected - expected[0],
                               atol=1e-5)  # fmt: skip


# ---------------------------------------------------------------- refusals


def moved(joint, by):
    take = capture_of()
    take.points[:, H36M.index(joint)[0]] += by
    return take


LOST = moved("LWrist", 0)
LOST.points[:20, H36M.index("LWrist")[0]] = np.nan


@pytest.mark.parametrize(
    ("take", "wishes", "said"),
    [
        (capture_of(names=[*H36M.names[:-1], "Hand"]), {}, "h36m17 comes nearest and misses RWr"),
        (capture_of(names=NAMES["cmu"].split()[:-1] + ["x"]), {}, "cmu .* misses rradius"),
        (capture_of(scale=9.0), {}, "is human in no unit"),
        (capture_of(), {"unit": "mm"}, "its unit is not mm"),
        (capture_of(), {"unit": "ell"}, "unit 'ell' is unknown; known are m, cm"),
        (capture_of(), {"up": "w"}, "up 'w' is unknown"),
        (capture_of(), {"fps": 2000.0}, "2000 frames a second"),
        (capture_of(fps=120.0), {}, "64 frames, 0.53 s; .* needs 0.8 s"),
        (moved("LFoot", [0, 0, -0.2]), {}, "the bone to LFoot .* mm and that to RFoot"),
        (capture_of(replace(WALK, joints=torn(WALK.joints))), {}, "RWrist lies 1e.03 m from the"),
        (LOST, {}, "LWrist is known in 69 % of the frames"),
        (capture_of(CLIPS["crawl"]), {}, "nobody stands upright along y or z.* --up"),
    ],
)
def test_what_is_wrong_is_said_with_the_remedy(take, wishes, said):
    with pytest.raises(ValueError, match=said):
        to_clip(take, "a", Wishes(**wishes))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match="motion is read from .bvh, .amc, .c3d files"):
        read_clip(tmp_path / "a.fbx")


def test_a_map_of_ones_own(tmp_path):
    names = [f"j{n}" for n in range(17)]
    mine = {joint: f"j{n}" for n, joint in enumerate(H36M.names)} | {"LWrist": ["j13", "j12"]}
    del mine["Nose"]
    chosen = read_map(written(tmp_path / "m.json", json.dumps(mine)))
    found = to_h36m(capture_of(names=names), chosen)
    np.testing.assert_allclose(found[:, 13], WALK.joints[:, 12:14].mean(1), atol=1e-6)
    for text, said in (
        ("{", "no JSON"), ("[]", "one JSON object"), ('{"Tail": "j0"}', "no joint Tail"),
        ('{"LHip": 3}', "LHip must be a name"), ('{"LHip": "j4"}', "RHip is not mapped"),
    ):
        with pytest.raises(ValueError, match=said):
            read_map(written(tmp_path / "bad.json", text))
    with pytest.raises(ValueError, match="the map names j99, which is not there"):
        to_h36m(capture_of(names=names), mine | {"LHip": "j99"})


# ---------------------------------------------------------------- the file, and what is made of it


def test_clips_come_back_and_the_same_clips_are_the_same_bytes(tmp_path):
    clips = [to_clip(capture_of(), "walk")[0]] * 2
    path = write_clips(tmp_path / "a.npz", clips)
    found = read_clips(path)
    assert [clip.name for clip in found] == ["walk", "walk~2"]
    assert all(clip.joints.tobytes() == clips[0].joints.tobytes() for clip in found)
    named = [MotionClip(name, clips[0].joints) for name in ("walk~2", "walk", "walk", "walk~2")]
    found = read_clips(write_clips(tmp_path / "c.npz", named))
    assert [clip.name for clip in found] == ["walk", "walk~2", "walk~2~2", "walk~3"]
    assert write_clips(tmp_path / "b.npz", clips).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({}, "no clip in it"),
        ({"a": (1000 * WALK.joints).astype(np.int16)}, "a is int16 of .* float32 metres"),
        ({"a": WALK.joints[:, :16]}, r"\(64, 16, 3\)"),
        ({"a": WALK.joints[:30]}, "30 frames, of which at least 40"),
        ({"a": WALK.joints * np.float32(1000)}, "of a body of 1"),
        ({"a": WALK.joints * np.float32([1, -1, -1])}, "hangs head down in every frame"),
        ({"a": np.repeat(WALK.joints[:1], 50, 0)}, "a does not move"),
        ({"a": torn(WALK.joints)}, "RWrist lies 1e.03 m from the hip in frame 20"),
        ({"a": np.array([{}])}, "no .npz of motion"),
    ],
)
def test_other_files_of_motion_are_refused(arrays, said, tmp_path):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=said + ".*make it with `python -m posebook motion"):
        read_clips(tmp_path / "a.npz")


def test_the_generator_makes_views_of_ones_own_motion(tmp_path, monkeypatch):
    """One clip of one person will do: it is parted along time."""
    size = ViewsSize(1, 5, 1)
    monkeypatch.delenv("POSEBOOK_MOTION", raising=False)
    with pytest.raises(FileNotFoundError, match="name it with --motion FILE.npz, or in the vari"):
        load_views("own-motion", size)
    monkeypatch.setenv("POSEBOOK_MOTION", str(write_clips(tmp_path / "a.npz", [WALK])))
    train, test = load_views("own-motion", size, noise="none")
    assert {take.action for take in (*train, *test)} == {"walk"} and len(train) == 5
    embedded = next(take for take in make_views(size, noise="none")[1] if take.action == "walk")
    assert len(test[0]) == len(embedded)
    with pytest.raises(ValueError, match="the split 'actions' tests the actions walk, dance_b"):
        load_views("own-motion", size, split="actions")
