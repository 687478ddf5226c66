"""Write the diagrams of the thesis' figures, drawn anew, and one of our own, to book/diagrams.

    python tools/diagrams.py

One function a figure. A test compares the files with what is drawn here. The body is a recorded
one.
"""

from pathlib import Path

import numpy as np
from svg import Drawing

from posebook.data.recorded.motion import load_motion
from posebook.palette import CYCLE

FOLDER = Path(__file__).resolve().parents[1] / "book" / "diagrams"
GREEN = CYCLE[2]
WIDE = 740
ALONG, BESIDE = 25.0, 110.0  # degrees: two sides to see a runner from


def runner(frame: int = 8, degrees: float = ALONG, depth: float = 1.0) -> np.ndarray:
    """A runner (17, 2), y down, from a side.

    `depth` stretches what view ALONG does not see: there, every depth gives the same picture.
    """
    clip = next(clip for clip in load_motion() if clip.name == "run")
    joints = clip.joints[frame].astype(float) - clip.joints[frame][0]
    x, z = _turned(joints[:, 0], joints[:, 1], ALONG)
    x, _ = _turned(x, depth * z, degrees - ALONG)
    return np.stack([x, -joints[:, 2]], axis=-1)


def _turned(x, y, degrees):
    turn = np.deg2rad(degrees)
    return np.cos(turn) * x + np.sin(turn) * y, -np.sin(turn) * x + np.cos(turn) * y


def figure_1_1() -> Drawing:
    """What is asked: joints in a picture, in a video, and in space."""
    d = Drawing(
        WIDE, 300, "Three questions",
        "On the left a picture of a runner in whom a network marks the joints. In the middle "
        "three frames of a video; in the middle one a thing hides a part of the body that its "
        "neighbours show. On the right three bodies of different depth that all fit one picture, "
        "and a second camera's picture, which only one of them fits.",
    )  # fmt: skip
    d.label(8, 16, "(a) a picture", 15, "start")
    d.frame(76, 112, 120, runner())
    d.label(76, 206, "2D: a pixel\nfor each joint", 14)
    d.label(76, 250, "chapter 2", 13, link="video.heatmaps.decode", faint=True)
    d.parts.append('<path d="M166 8V292M440 8V292" stroke="currentColor" stroke-opacity="0.35"/>')
    d.label(184, 16, "(b) a video", 15, "start")
    for x, frame in ((222, 4), (303, 8), (384, 12)):
        d.frame(x, 104, 72, runner(frame), erased=frame == 8)
    d.arrow((222, 146), (222, 168), (292, 168), (292, 148))
    d.arrow((384, 146), (384, 168), (314, 168), (314, 148))
    d.label(303, 206, "what is hidden now\nwas seen a moment ago", 14)
    d.label(303, 250, "chapter 2", 13, link="video.tce.TCE", faint=True)
    d.label(458, 16, "(c) several views", 15, "start")
    d.frame(492, 104, 68, runner())
    d.arrow((530, 104), (552, 104))
    for x, depth in ((562, 0.15), (588, 1.0), (632, 1.6)):
        d.body(x, 104, 62, runner(degrees=BESIDE, depth=depth), 1.0 if depth == 1 else 0.45)
    d.frame(702, 104, 68, runner(degrees=BESIDE))
    d.label(492, 56, "camera 1", 12, faint=True)
    d.label(702, 56, "camera 2", 12, faint=True)
    d.arrow((702, 142), (702, 168), (588, 168), (588, 142))
    d.label(592, 206, "3D: all three fit camera 1,\nonly one fits camera 2 as well", 14)
    d.label(
        592, 250, "chapters 3 and 4", 13, link="lifting.losses.transform_reprojection", faint=True
    )
    return d


def figure_2_1() -> Drawing:
    """The base network: picture, encoder, pyramid, decoder, heatmaps."""
    d = Drawing(
        WIDE, 240, "The base network",
        "A picture with an erased rectangle passes an encoder whose maps shrink and deepen, the "
        "spatial pyramid, and a decoder whose maps grow again; a last convolution gives one "
        "heatmap for each joint.",
    )  # fmt: skip
    y = 110
    d.frame(56, y, 92, runner(), erased=True)
    d.label(56, 192, "picture, a part\nerased in training", 13, link="video.crops.erase")
    d.arrow((106, y), (128, y))
    for x, side, deep, size in ((150, 84, 8, "64²·256"), (200, 60, 14, "32²·512"),
                                (249, 42, 22, "16²·1024"), (304, 28, 34, "8²·2048")):
        d.maps(x, y, side, deep)
        d.label(x, 32 if size[0] in "63" else 58, size, 12.5, faint=True)
    d.label(225, 192, "encoder: four\nresidual stages", 13, link="video.backbone.Encoder")
    d.arrow((334, y), (358, y))
    d.box(398, y, 76, 92, "spatial\npyramid", "learned")
    d.label(398, 192, "several distances\nat once", 13, link="video.backbone.Pyramid")
    d.arrow((438, y), (462, y))
    for x, side, size in ((484, 36, "16²"), (522, 54, "32²"), (570, 80, "64²·256")):
        d.maps(x, y, side, 10, GREEN)
        d.label(x, y - 0.63 * side - 12, size, 12.5, faint=True)
    d.label(525, 192, "decoder: three\ndeconvolutions", 13, link="video.backbone.Decoder")
    d.arrow((598, y), (640, y), text="1 × 1")
    for k in (2, 1, 0):
        d.frame(688 + 5 * k, y - 5 * k, 82, runner(), dots=(16 - k,))
    d.label(690, 192, "a heatmap for\neach joint", 13, link="video.heads.joints_of")
    return d


def figure_2_2() -> Drawing:
    """The dilated spatial pyramid: reduce, split, merge."""
    d = Drawing(
        WIDE, 312, "The dilated spatial pyramid",
        "The map is reduced to a quarter of its channels by a 1 by 1 convolution, split into four "
        "branches, a 1 by 1 kernel and three 3 by 3 kernels with dilations 1, 2 and 4, which are "
        "concatenated; the input is added.",
    )  # fmt: skip
    y = 165
    d.maps(50, y, 62, 44)
    d.label(50, y + 62, "X", 15)
    d.label(50, y + 80, "8² · 2048", 12, faint=True)
    d.arrow((92, y), (128, y))
    d.box(172, y, 84, 54, "1 × 1", "learned")
    d.label(172, y + 46, "reduce", 13, link="video.backbone.Branches")
    d.maps(246, y, 62, 14)
    d.label(246, y + 62, "512", 12, faint=True)
    d.arrow((214, y), (226, y), head=False)
    for k, (kernel, gap) in enumerate((("1 × 1", 0), ("3 × 3, dilation 1", 1),
                                       ("3 × 3, dilation 2", 2), ("3 × 3, dilation 4", 4))):
        top = 42 + 72 * k
        d.arrow((266, y), (284, y), (284, top), (308, top))
        d.box(382, top, 148, 42, "", "learned")
        d.label(402, top, kernel, 13)
        _taps(d, 328, top, gap)
        d.arrow((456, top), (480, top), head=False)
        d.maps(500, top, 40, 10)
        d.arrow((516, top), (548, top), (548, y), (566, y))
    d.label(382, 296, "split", 13)
    d.maps(598, y, 62, 40)
    d.label(598, y + 62, "concatenate", 13)
    d.label(598, y + 80, "4 · 512 = 2048", 12, faint=True)
    d.arrow((636, y), (666, y))
    d.ring(677, y)
    d.arrow((688, y), (724, y))
    d.arrow((50, y - 42), (50, 8), (677, 8), (677, y - 11))
    d.label(606, 20, "the input, as it is", 13)
    d.code(677, y + 28, "video.backbone.Pyramid")
    return d


def _taps(d: Drawing, x, y, gap) -> None:
    """Where a kernel reads: its cells among 9 x 9."""
    cell = 3.6
    reads = {(a * gap, b * gap) for a in (-1, 0, 1) for b in (-1, 0, 1)}
    d.parts.append(
        f'<rect x="{x - 4.5 * cell:g}" y="{y - 4.5 * cell:g}" width="{9 * cell:g}" '
        f'height="{9 * cell:g}" fill="none" stroke="currentColor" stroke-width="0.6"/>'
    )
    for a, b in sorted(reads):
        d.parts.append(
            f'<rect x="{x + (a - 0.5) * cell:g}" y="{y + (b - 0.5) * cell:g}" width="{cell}" '
            f'height="{cell}" fill="currentColor"/>'
        )


def figure_2_3() -> Drawing:
    """The TCE module: the recursion over frames, and one step of it enlarged."""
    d = Drawing(
        WIDE, 470, "The TCE module",
        "Above, three frames go through one encoder; the state of the oldest is deformed to fit "
        "the next frame and aggregated with its features, until the target frame is reached. "
        "Below, one step: a convolution predicts an offset field from the state, the state is "
        "read at the offset places, and a gated cell merges it with the features of the frame.",
    )  # fmt: skip
    times = ("t−2", "t−1", "t")
    for k, (x, frame) in enumerate(zip((80, 330, 580), (4, 8, 12), strict=True)):
        d.frame(x, 46, 72, runner(frame))
        d.label(x - 62, 46, f"*I*_{{{times[k]}}}", 15)
        d.arrow((x, 84), (x, 108))
        d.maps(x, 132, 34, 20)
        d.label(x - 50, 132, f"*X*_{{{times[k]}}}", 15)
    d.label(672, 100, "the same\nencoder", 12, faint=True)
    y = 205
    d.arrow((80, 154), (80, y - 20))
    d.label(80, y, "*H*_{t−2} = *X*_{t−2}", 15)
    for x, name in ((330, "*H*_{t−1}"), (580, "*H*_{t}^{p}")):
        d.arrow((x - 250 + (62 if x == 330 else 82), y), (x - 146, y))
        d.box(x - 120, y, 52, 40, "*𝒜*", "learned", size=17)
        d.arrow((x - 94, y), (x - 27, y))
        d.box(x, y, 52, 40, "*𝒯*", "learned", size=17)
        d.arrow((x, 154), (x, y - 21))
        d.label(x + 58, y, name, 15)
        d.arrow((x + 27, y), (x + 38, y), head=False)
    d.label(210, y + 33, "deform", 12, faint=True)
    d.label(330, y + 33, "aggregate", 12, faint=True)
    d.code(682, y + 33, "video.tce.TCE")
    d.parts.append(
        '<rect x="6" y="256" width="728" height="206" rx="10" fill="none" stroke="currentColor" '
        'stroke-opacity="0.4" stroke-dasharray="2 3"/>'
    )
    d.label(18, 274, "one step", 13, "start", faint=True)
    y = 372
    d.maps(52, y, 50, 22)
    d.label(52, y + 48, "*H*_{t−1}", 15)
    d.arrow((82, y), (186, y))
    d.arrow((104, y), (104, 310), (132, 310))
    d.box(180, 310, 92, 40, "conv *W*_{of}", "learned")
    d.arrow((226, 310), (262, 310))
    _field(d, 292, 310, 44)
    d.label(330, 300, "Δ*P*, the\noffset field", 13, "start")
    d.arrow((292, 334), (292, 343), (236, 343), (236, y - 25))
    d.box(236, y, 98, 48, "read there", "fixed")
    d.label(236, y + 36, "*𝒜*  deform", 13, link="video.tce.deform")
    d.arrow((286, y), (330, y))
    d.maps(358, y, 50, 22)
    d.label(358, y + 48, "*H*_{t−1}^{de}", 15)
    d.arrow((390, y), (454, y))
    d.box(524, y, 138, 66, "gates *i*, *f*, *o*\nnew cell *c*_{t}", "learned")
    d.label(524, y + 47, "*𝒯*  aggregate", 13, link="video.tce.TCE")
    d.maps(524, 290, 30, 16)
    d.label(556, 290, "*X*_{t}", 15, "start")
    d.arrow((524, 310), (524, y - 34))
    d.arrow((594, y), (644, y))
    d.maps(674, y, 50, 22)
    d.label(674, y + 48, "*H*_{t}^{p}", 15)
    return d


def _field(d: Drawing, x, y, side) -> None:
    """A grid of small arrows."""
    d.frame(x, y, side)
    step = side / 4
    for i in range(4):
        for j in range(4):
            a, b = x + (i - 1.5) * step, y + (j - 1.5) * step
            u, v = 4.5 * np.cos(0.4 * i - 0.5 * j), 4.5 * np.sin(0.5 * j - 0.2 * i)
            d.parts.append(
                f'<path d="M{a - u:.1f} {b - v:.1f}L{a + u:.1f} {b + v:.1f}" '
                f'stroke="currentColor"/>'
                f'<circle cx="{a + u:.1f}" cy="{b + v:.1f}" r="1.6"/>'
            )


def figure_2_4() -> Drawing:
    """The video network: encoder, reduction, four scales in both directions of time, decoder."""
    d = Drawing(
        WIDE, 400, "The video network",
        "The frames before, at and after the target go through one encoder and a reduction. Four "
        "kernels with growing dilations make four scales. At each scale one TCE module goes "
        "through the past and through the future, and both are summed; the four results are "
        "concatenated and decoded to the target's heatmaps.",
    )  # fmt: skip
    for k, (name, frame) in enumerate((("t−2", 2), ("t−1", 5), ("t", 8), ("t+1", 11), ("t+2", 14))):
        y = 44 + 74 * k
        d.frame(56, y, 62, runner(frame))
        d.label(13, y, f"*I*_{{{name}}}", 13)
        d.arrow((90, y), (112, y))
    d.box(136, 192, 44, 356, "", "learned")
    d.label(136, 192, "e\nn\nc\no\nd\ne\nr", 14)
    d.code(136, 386, "video.backbone.Encoder")
    d.arrow((160, 192), (186, 192))
    d.box(208, 192, 40, 150, "1 × 1", "learned", size=13)
    for k, gap in enumerate((0, 1, 2, 4)):
        y = 52 + 92 * k
        d.arrow((230, 192), (246, 192), (246, y), (266, y))
        d.box(290, y, 46, 46, "", "learned")
        _taps(d, 290, y, gap)
        d.arrow((314, y), (340, y))
        d.box(430, y, 178, 62, "", "learned")
        d.label(430, y - 16, "past → *t* ← future", 13)
        d.label(430, y + 8, f"*H*_{{t}}^{{{k + 1}}} = *H*_{{t}}^{{p}} + *H*_{{t}}^{{s}}", 14)
        d.arrow((520, y), (544, y), (544, 192), (560, 192))
    d.label(292, 380, "scales", 13)
    d.code(292, 394, "video.backbone.Branches")
    d.label(430, 380, "a TCE module each", 13)
    d.code(430, 394, "video.tce.TCE")
    d.maps(594, 192, 52, 40)
    d.label(594, 246, "*H*_{t}^{∗}", 15)
    d.arrow((632, 192), (648, 192))
    d.box(672, 192, 44, 110, "de-\nco-\nder", "learned", size=13)
    d.code(655, 262, "video.backbone.Decoder", "start")
    d.arrow((672, 136), (672, 112))
    for k in (1, 0):
        d.frame(672 + 5 * k, 72 - 5 * k, 72, runner(), dots=(16 - k,))
    d.label(672, 18, "*M*_{t}", 14)
    d.code(640, 320, "video.network.VideoNetwork")
    d.label(640, 302, "the whole network", 13)
    return d


def figure_3_1() -> Drawing:
    """What each loss can see: (a) the own picture, (b) the other camera's picture."""
    d = Drawing(
        WIDE, 310, "Two losses",
        "On the left a predicted body is projected back into its own picture; three bodies of "
        "different depth give the same picture, so all are right. On the right the body is "
        "carried to a second camera, where a wrong depth is a wrong place in the picture.",
    )  # fmt: skip
    depths = {0.15: 0.5, 1.0: 1.0, 1.6: 0.5}
    d.label(16, 16, "(a) re-projection", 15, "start")
    d.frame(52, 100, 76, runner())
    d.label(52, 154, "*X*^{v1}", 15)
    d.arrow((92, 100), (116, 100))
    d.box(154, 100, 74, 44, "network", "learned")
    d.arrow((192, 100), (214, 100))
    for x, (depth, faint) in zip((236, 272, 318), depths.items(), strict=True):
        d.body(x, 100, 92, runner(degrees=BESIDE, depth=depth), faint)
    d.label(282, 168, "seen from the side:\nflat, true, stretched", 13)
    d.arrow((282, 190), (282, 230), (222, 230))
    d.box(194, 230, 54, 36, "*ρ*", "fixed", size=16)
    d.arrow((166, 230), (114, 230))
    d.box(62, 230, 100, 40, "*L*_{reproj}", "loss")
    d.code(62, 262, "lifting.losses.reprojection")
    d.arrow((52, 168), (52, 209))
    d.label(180, 296, "one picture: all three are right", 14, faint=True)
    d.parts.append('<path d="M372 8V302" stroke="currentColor" stroke-opacity="0.35"/>')
    d.label(388, 16, "(b) transform re-projection", 15, "start")
    d.frame(424, 92, 68, runner())
    d.label(424, 142, "*X*^{v1}", 15)
    d.arrow((460, 92), (480, 92))
    d.box(517, 92, 72, 44, "network", "learned")
    d.arrow((554, 92), (572, 92))
    d.body(596, 92, 84, runner())
    d.label(596, 150, "*Ỹ* ^{v1}", 15)
    d.arrow((622, 92), (642, 92))
    d.box(672, 92, 58, 44, "*τ*", "fixed", size=16)
    d.label(672, 130, "to camera 2", 12, faint=True)
    d.arrow((702, 92), (724, 92), (724, 230), (706, 230))
    for depth, faint in depths.items():
        d.body(666, 224, 66, runner(degrees=BESIDE, depth=depth), faint)
    d.arrow((626, 230), (606, 230))
    d.box(580, 230, 50, 36, "*ρ*", "fixed", size=16)
    d.arrow((554, 230), (540, 230))
    d.box(502, 230, 74, 40, "*L*_{t-reproj}", "loss", size=13)
    d.code(502, 266, "lifting.losses.transform_reprojection", "start")
    d.frame(420, 230, 68, runner(degrees=BESIDE))
    d.label(420, 280, "*X*^{v2}", 15)
    d.arrow((455, 230), (465, 230))
    d.label(566, 296, "only the true depth fits camera 2", 14, faint=True)
    return d


def figure_3_2() -> Drawing:
    """The two stages: 2D joints with confidences, then depth."""
    d = Drawing(
        WIDE, 190, "Two stages",
        "A 2D pose network turns a frame into heatmaps. Place and height of each maximum are the "
        "2D joints and their confidences. A lifting network turns the 2D pose into a 3D pose.",
    )  # fmt: skip
    y = 92
    d.frame(52, y, 80, runner())
    d.label(52, 152, "frame", 14)
    d.arrow((94, y), (116, y))
    d.box(164, y, 92, 56, "2D pose\nnetwork", "fixed")
    d.label(164, 152, "any detector", 13, link="footage.detections.read_detections")
    d.arrow((211, y), (234, y))
    for k in (2, 1, 0):
        d.frame(278 + 5 * k, y - 5 * k, 74, runner(), dots=(16 - 3 * k,))
    d.label(280, 152, "heatmaps", 14)
    d.arrow((326, y), (372, y), text="max", at=(348, 80))
    d.frame(416, y, 80, runner())
    d.label(416, 160, "2D pose *X*, *N* × 2\nconfidence *w*, *N*", 14)
    d.arrow((458, y), (482, y))
    d.box(536, y, 104, 56, "lifting\nnetwork *𝒩*", "learned")
    d.label(536, 152, "trained here", 13, link="lifting.network.LiftingNetwork")
    d.arrow((590, y), (622, y))
    d.body(646, y, 92, runner(degrees=ALONG + 30))
    d.body(708, y, 92, runner(degrees=BESIDE))
    d.label(676, 160, "3D pose *Y*, *N* × 3\nabout the pelvis", 14)
    d.label(164, 20, "stage 1, given", 13, faint=True)
    d.label(536, 20, "stage 2, without a 3D label", 13, faint=True)
    return d


def _two_branches(d: Drawing, y: float, view: str, degrees: float) -> None:
    """One view's way from its 2D pose to its global pose."""
    d.frame(48, y, 68, runner(degrees=degrees))
    d.label(48, y + 50, f"*X*^{{{view}}}, *w*^{{{view}}}", 14)
    d.arrow((84, y), (102, y), (102, y - 27), (122, y - 27))
    d.arrow((102, y), (102, y + 27), (122, y + 27))
    d.box(182, y - 27, 118, 40, "lifting branch", "learned")
    d.box(182, y + 27, 118, 40, "root branch", "learned")
    d.arrow((242, y - 27), (298, y - 27), (298, y - 11), text=f"*Y*^{{{view}}}", at=(270, y - 40))
    d.arrow((242, y + 27), (298, y + 27), (298, y + 11), text=f"*r*^{{{view}}}", at=(270, y + 40))
    d.ring(298, y)
    d.arrow((309, y), (330, y))
    d.body(360, y, 74, runner(degrees=degrees))
    d.label(360, y + 50, f"*Ỹ* ^{{{view}}}", 15)


def figure_3_3() -> Drawing:
    """Training with two views: each body is projected into both pictures."""
    d = Drawing(
        WIDE, 420, "Training with two views",
        "Each view passes the same two branches, one for the pose about the pelvis and one for "
        "the place of the pelvis; their sum is the global pose. It is projected into its own "
        "picture and, carried over by the rigid motion, into that of the other view; both are "
        "compared with the joints that were detected there.",
    )  # fmt: skip
    rows = {"v1": (92, ALONG), "v2": (318, BESIDE)}
    for view, (y, degrees) in rows.items():
        _two_branches(d, y, view, degrees)
    d.arrow((182, 143), (182, 267), dashed=True, head=False)
    d.label(192, 186, "the same weights", 13, "start")
    d.code(192, 206, "lifting.network.LiftingNetwork", "start")
    d.code(298, 226, "lifting.network.global_pose")
    for view, other, side in (("v1", "v2", -1), ("v2", "v1", 1)):
        y = rows[view][0]
        own, far = y + 40 * side, y - 30 * side
        d.arrow((390, y), (408, y), (408, own), (426, own))
        d.box(450, own, 46, 36, "*ρ*", "fixed", size=16)
        d.arrow((474, own), (568, own), text=f"*ρ*(*Ỹ* ^{{{view}}})", at=(520, own - 12))
        d.box(640, own, 140, 44, f"*L*_{{reproj}}  with  *X*^{{{view}}}", "loss", size=13)
        d.arrow((408, y), (408, far), (426, far))
        d.box(450, far, 46, 36, "*τ*", "fixed", size=16)
        d.arrow((474, far), (494, far))
        d.box(518, far, 46, 36, "*ρ*", "fixed", size=16)
        d.arrow((542, far), (568, far))
        d.box(640, far, 140, 44, f"*L*_{{t-reproj}}  with  *X*^{{{other}}}", "loss", size=13)
    d.label(450, 196, "to the other camera", 13)
    d.code(450, 216, "geometry.camera.transform")
    d.label(640, 176, "joint by joint, weighed with *w*", 13, faint=True)
    d.code(640, 200, "lifting.losses.transform_reprojection")
    d.code(640, 220, "lifting.losses.reprojection")
    d.label(640, 244, "summed, λ times the second", 13, faint=True)
    return d


def figure_3_4() -> Drawing:
    """Pre-training: the two bodies are compared in space, and no picture is."""
    d = Drawing(
        WIDE, 314, "Pre-training",
        "The global pose of each view is carried over to the other camera and compared there, "
        "joint by joint in space, with the global pose that the other view gave.",
    )  # fmt: skip
    for y, view, other, degrees, far in ((74, "v1", "v2", ALONG, BESIDE),
                                         (222, "v2", "v1", BESIDE, ALONG)):
        d.frame(46, y, 66, runner(degrees=degrees))
        d.label(46, y + 50, f"*X*^{{{view}}}", 15)
        d.arrow((82, y), (104, y))
        d.box(160, y, 108, 52, "both\nbranches", "learned")
        d.arrow((216, y), (238, y))
        d.body(270, y, 76, runner(degrees=degrees))
        d.label(270, y + 52, f"*Ỹ* ^{{{view}}}", 15)
        d.arrow((300, y), (340, y))
        d.box(368, y, 54, 40, "*τ*", "fixed", size=16)
        d.arrow((396, y), (430, y))
        d.body(462, y, 76, runner(degrees=far))
        d.label(462, y + 52, f"*τ*(*Ỹ* ^{{{view}}})", 15)
        d.arrow((496, y), (550, y))
        d.box(640, y, 176, 48, f"‖*τ*(*Ỹ* ^{{{view}}}) − *Ỹ* ^{{{other}}}‖^{{2}}", "loss", size=15)
    d.arrow((160, 102), (160, 194), dashed=True, head=False)
    d.code(168, 148, "lifting.network.LiftingNetwork", "start")
    d.arrow((288, 106), (322, 140), (560, 140), (600, 194), dashed=True)
    d.arrow((288, 190), (322, 156), (530, 156), (600, 102), dashed=True)
    d.code(424, 178, "geometry.camera.transform")
    d.label(650, 141, "one body, one place", 13, faint=True)
    d.code(650, 160, "lifting.losses.pretraining")
    d.label(370, 302, "No picture is compared: every body on which both views agree is right.", 13)
    return d


def figure_4_1() -> Drawing:
    """The factorization network, twice with the same weights, and its two losses."""
    d = Drawing(
        WIDE, 385, "The consistent factorization network",
        "A 2D pose passes four residual blocks and two heads. One gives the code of the body, "
        "which the dictionary turns into a canonical body; the other gives the viewpoint, a "
        "rotation. Turned and seen, the body must look like the picture; the canonical bodies of "
        "two views must be equal.",
    )  # fmt: skip
    front = -90 + ALONG
    for y, view, degrees in ((96, "1", ALONG), (312, "2", BESIDE)):
        d.frame(44, y, 66, runner(degrees=degrees))
        d.label(44, y + 50, f"*X*_{{{view}}}", 15)
        d.arrow((79, y), (94, y))
        d.box(142, y, 94, 60, "four\nblocks", "learned")
        d.arrow((190, y), (204, y), (204, y - 34), (218, y - 34))
        d.arrow((204, y), (204, y + 34), (218, y + 34))
        d.box(256, y - 34, 74, 40, "head", "learned")
        d.box(256, y + 34, 74, 40, "head", "learned")
        d.arrow((294, y - 34), (348, y - 34), text=f"*φ*_{{{view}}}", at=(320, y - 47))
        d.box(396, y - 34, 94, 44, "dictionary", "learned")
        d.arrow((444, y - 34), (472, y - 34))
        d.body(500, y - 38, 66, runner(degrees=front))
        d.label(532, y - 14, f"*Ŷ*_{{{view}}}", 15, "start")
        d.arrow((294, y + 34), (348, y + 34), text=f"*ω*_{{{view}}}", at=(320, y + 21))
        d.box(396, y + 34, 94, 40, "rotation", "fixed")
        d.arrow((444, y + 34), (559, y + 34))
        d.label(500, y + 50, f"*R*_{{{view}}}", 14)
        d.arrow((532, y - 38), (570, y - 38), (570, y + 23))
        d.ring(570, y + 34, "×")
        d.arrow((581, y + 34), (604, y + 34))
        d.box(664, y + 34, 120, 44, f"‖*Ŷ*_{{{view}}}*M*_{{{view}}} − *X*_{{{view}}}‖", "loss")
    d.arrow((142, 128), (142, 280), dashed=True, head=False)
    d.label(150, 196, "the same weights", 13, "start")
    d.code(150, 216, "factorization.network.FactorizationNetwork", "start")
    d.code(396, 164, "geometry.rotations.rotation")
    d.code(396, 242, "factorization.dictionary.Dictionary")
    d.arrow((486, 96), (486, 184))
    d.arrow((486, 238), (486, 222))
    d.box(516, 203, 106, 38, "‖*Ŷ*_{1} − *Ŷ*_{2}‖", "loss")
    d.code(530, 238, "factorization.losses.consistency", "start")
    d.code(664, 168, "factorization.losses.reprojection")
    d.label(650, 203, "one body,\nwhoever looks", 13, faint=True)
    return d


def figure_4_2() -> Drawing:
    """The encoder and decoder by which the dictionary is learned."""
    d = Drawing(
        WIDE, 386, "The encoder and decoder of the dictionary",
        "Above, block codes go up the levels of the dictionary, one ReLU layer a level; below, "
        "the code goes down the same levels. In between, two linear layers read code and "
        "rotation off the top block code. The body, seen from that side, must look like the "
        "picture.",
    )  # fmt: skip
    top, low = 80, 262
    d.frame(48, top, 70, runner())
    d.label(48, top + 50, "*X*", 15)
    levels = ((160, "*D*_{1}", "*Ψ*_{1}", 84), (290, "*D*_{2}", "*Ψ*_{2}", 64),
              (430, "*D*_{n}", "*Ψ*_{n}", 40))  # fmt: skip
    d.arrow((84, top), (128, top))
    for k, (x, name, psi, tall) in enumerate(levels):
        d.box(x, top, 62, 50, f"{name}^{{T}}", "learned")
        d.label(x, top + 38, "ReLU", 12, faint=True)
        _blocks(d, x + 62, top, tall)
        d.label(x + 62, top - tall / 2 - 12, psi, 14)
        d.arrow((x + 32, top), (x + 50, top), head=False)
        if k < 2:
            dots = "…" if k else ""
            d.arrow((x + 75, top), (levels[k + 1][0] - 32, top), text=dots)
    d.arrow((505, top), (540, top), (540, top - 26), (566, top - 26))
    d.arrow((540, top), (540, top + 30), (566, top + 30))
    d.box(608, top - 26, 84, 40, "linear", "learned")
    d.box(608, top + 30, 84, 40, "linear", "learned")
    d.arrow((650, top - 26), (704, top - 26), (704, top + 70), text="*ω*, *R*", at=(680, top - 40))
    d.box(704, top + 92, 62, 40, "*M*", "fixed")
    d.arrow((608, top + 50), (608, low), (462, low), text="*φ*_{n}", at=(540, low - 12))
    for k, (x, name, *_) in enumerate(reversed(levels)):
        d.box(x, low, 62, 50, name, "learned")
        code = ("*φ*_{n−1}", "*φ*_{1}", "")[k]
        if k < 2:
            d.label(x, low + 38, "ReLU", 12, faint=True)
            d.arrow((x - 32, low), (levels[1 - k][0] + 32, low), text=code)
    d.arrow((128, low), (84, low))
    d.body(48, low, 88, runner(degrees=-90 + ALONG))
    d.label(48, low + 58, "*Ŷ*", 15)
    for x, *_ in levels:
        d.arrow((x, top + 48), (x, low - 26), dashed=True, head=False)
    d.label(298, 172, "the same numbers", 13, "start")
    d.arrow((704, top + 112), (704, 352), (382, 352))
    d.arrow((48, low + 70), (48, 352), (220, 352))
    d.box(300, 352, 156, 40, "‖*ŶM* − *X*‖", "loss")
    d.code(394, 372, "factorization.losses.structure_from_motion", "start")
    d.code(330, 14, "factorization.dictionary.EncoderDecoder")
    d.code(468, low + 26, "factorization.dictionary.Dictionary", "start")
    return d


def _blocks(d: Drawing, x, y, tall) -> None:
    """A stack of 3 x 2 blocks, some of them empty."""
    n = int(tall // 10)
    for k in range(n):
        fill = ' fill-opacity="0.5"' if k % 3 != 1 else ' fill-opacity="0"'
        d.parts.append(
            f'<rect x="{x - 11:g}" y="{y - tall / 2 + k * tall / n:.1f}" width="22" '
            f'height="{tall / n - 2:.1f}" fill="{CYCLE[4]}"{fill} stroke="currentColor" '
            f'stroke-width="0.8"/>'
        )


DRAWINGS = {
    "1-1": figure_1_1,
    "2-1": figure_2_1, "2-2": figure_2_2, "2-3": figure_2_3, "2-4": figure_2_4,
    "3-1": figure_3_1, "3-2": figure_3_2, "3-3": figure_3_3, "3-4": figure_3_4,
    "4-1": figure_4_1, "4-2": figure_4_2,
}  # fmt: skip


def main() -> None:
    """Write every diagram."""
    FOLDER.mkdir(exist_ok=True)
    for name, draw in DRAWINGS.items():
        (FOLDER / f"{name}.svg").write_text(draw().text, encoding="utf-8")


if __name__ == "__main__":
    main()
