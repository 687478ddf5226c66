"""The pieces that the book's diagrams are drawn with: boxes, arrows, maps, pictures, skeletons.

Ink is `currentColor` and fills are translucent, so that a diagram follows the theme of the page.
"""

import re
from html import escape

import numpy as np
from api_page import page_of

from posebook.geometry.skeleton import H36M
from posebook.palette import LEFT, RIGHT, side_color

# What a box is: learned, computed, a loss.
FILLS = {"learned": LEFT, "fixed": "#808080", "loss": RIGHT}
Point = tuple[float, float]


def rich(text: str) -> str:
    """`X_{t-1}^{p}` with raised and lowered parts; `*X*` is slanted."""
    parts, shift = [], 0
    for piece in re.split(r"([_^]\{[^}]*\}|\*[^*]+\*)", text):
        if not piece:
            continue
        if piece[0] in "_^" and piece[1:2] == "{":
            dy = 4 if piece[0] == "_" else -6
            parts.append(f'<tspan dy="{dy - shift}" font-size="12">{escape(piece[2:-1])}</tspan>')
            shift = dy
        else:
            slant = ' font-style="italic"' if piece[0] == "*" and len(piece) > 2 else ""
            move = f' dy="{-shift}"' if shift else ""
            parts.append(f"<tspan{move}{slant}>{escape(piece.strip('*'))}</tspan>")
            shift = 0
    return "".join(parts)


class Drawing:
    """One diagram, as it is put together; `text` is its SVG."""

    def __init__(self, width: int, height: int, title: str, description: str) -> None:
        self.width, self.height = width, height
        self.title, self.description = title, description
        self.parts: list[str] = []

    def label(self, x, y, text, size=14, anchor="middle", link="", faint=False) -> None:
        """A line of text, or several; with `link`, the name of a thing in the package."""
        lines = text.split("\n")
        for row, line in enumerate(lines):
            top = y + (row - (len(lines) - 1) / 2) * (size + 3)
            look = ' opacity="0.75"' if faint else ""
            said = (
                f'<text x="{x:g}" y="{top + 0.35 * size:g}" font-size="{size}" '
                f'text-anchor="{anchor}"{look}>{rich(line)}</text>'
            )
            self.parts.append(said)
        if link:
            self.code(x, y + len(lines) * (size + 3) / 2 + 7, link, anchor)

    def code(self, x, y, link, anchor="middle") -> None:
        """The name of a class or function, which leads to its place on the package's pages."""
        name = escape(".".join(link.split(".")[2:]))
        self.parts.append(
            f'<a href="../../book/{page_of(link)}.html#posebook.{link}">'
            f'<text x="{x:g}" y="{y + 4:g}" font-size="13" class="code" '
            f'font-family="monospace" text-anchor="{anchor}">{name}</text></a>'
        )

    def box(self, x, y, w, h, text="", kind="fixed", size=14) -> None:
        """A rounded box about (x, y)."""
        dash = ' stroke-dasharray="4 3"' if kind == "loss" else ""
        self.parts.append(
            f'<rect x="{x - w / 2:g}" y="{y - h / 2:g}" width="{w:g}" height="{h:g}" rx="7" '
            f'fill="{FILLS[kind]}" fill-opacity="0.16" stroke="currentColor" '
            f'stroke-width="1.2"{dash}/>'
        )
        if text:
            self.label(x, y, text, size)

    def arrow(self, *points: Point, text="", dashed=False, head=True, at=None) -> None:
        """Straight pieces through `points`, a head at the last; `text` above the middle."""
        path = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self.parts.append(
            f'<path d="{path}" fill="none" stroke="currentColor" stroke-width="1.4"{dash}/>'
        )
        if head:
            self._head(points[-2], points[-1])
        if text:
            (a, b), (c, d) = points[0], points[1]
            x, y = at or ((a + c) / 2, (b + d) / 2 - 11)
            self.label(x, y, text, 13)

    def _head(self, before: Point, tip: Point) -> None:
        along = np.subtract(tip, before) / np.hypot(*np.subtract(tip, before))
        across = np.array([-along[1], along[0]])
        corners = [tip, tip - 8 * along + 4 * across, tip - 8 * along - 4 * across]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in corners) + "Z"
        self.parts.append(f'<path d="{path}" fill="currentColor"/>')

    def ring(self, x, y, sign="+") -> None:
        """A small circle with an operation in it."""
        self.parts.append(
            f'<circle cx="{x:g}" cy="{y:g}" r="10" fill="none" stroke="currentColor" '
            f'stroke-width="1.2"/>'
        )
        self.label(x, y, sign, 15)

    def maps(self, x, y, side, deep, color=LEFT) -> None:
        """A feature map as a slab about (x, y): `side` tall, `deep` for its channels."""
        slant = side / 3
        left, right = x - (deep + slant) / 2, x + (deep - slant) / 2
        top, low = y - (side - slant) / 2, y + (side + slant) / 2
        faces = (
            (0.30, [(left, top), (right, top), (right, low), (left, low)]),
            (0.18, [(left, top), (left + slant, top - slant), (right + slant, top - slant),
                    (right, top)]),
            (0.42, [(right, top), (right + slant, top - slant), (right + slant, low - slant),
                    (right, low)]),
        )  # fmt: skip
        for strength, corners in faces:
            path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in corners) + "Z"
            self.parts.append(
                f'<path d="{path}" fill="{color}" fill-opacity="{strength}" '
                f'stroke="currentColor" stroke-width="0.8"/>'
            )

    def frame(self, x, y, side, body=None, erased=False, dots=()) -> None:
        """A picture about (x, y), with a body in it, or with spots where joints may be."""
        self.parts.append(
            f'<rect x="{x - side / 2:g}" y="{y - side / 2:g}" width="{side:g}" height="{side:g}" '
            f'fill="#808080" fill-opacity="0.14" stroke="currentColor"/>'
        )
        if body is not None and not dots:
            self.body(x, y, 0.84 * side, body)
        if dots:
            for a, b in fitted(body, x, y, 0.84 * side)[list(dots)]:
                self.parts.append(
                    f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{side / 14:.1f}" fill="{RIGHT}" '
                    f'fill-opacity="0.45"/>'
                )
        if erased:
            self.parts.append(
                f'<rect x="{x + 0.04 * side:g}" y="{y - 0.1 * side:g}" width="{0.34 * side:g}" '
                f'height="{0.26 * side:g}" fill="#8c8c8c"/>'
            )

    def body(self, x, y, tall, joints, faint=1.0) -> None:
        """A skeleton (17, 2), y down, `tall` high, about (x, y)."""
        at = fitted(joints, x, y, tall)
        paths: dict[str, str] = {}
        for parent, child in H36M.bones:
            name = H36M.names[child]
            ink = side_color(name) if side_color(name) in (LEFT, RIGHT) else "currentColor"
            (a, b), (c, d) = at[parent], at[child]
            paths[ink] = paths.get(ink, "") + f"M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}"
        for ink, path in paths.items():
            self.parts.append(
                f'<path d="{path}" fill="none" stroke="{ink}" stroke-width="2.2" '
                f'stroke-linecap="round" opacity="{faint:g}"/>'
            )

    @property
    def text(self) -> str:
        """The whole file."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" font-family="sans-serif" fill="currentColor" role="group">\n'
            f"<title>{escape(self.title)}</title>\n<desc>{escape(self.description)}</desc>\n"
            + "\n".join(self.parts)
            + "\n</svg>\n"
        )


def fitted(joints, x, y, tall) -> np.ndarray:
    """Joints moved and scaled so that they stand about (x, y), `tall` high."""
    joints = np.asarray(joints, dtype=float)
    low, high = joints.min(0), joints.max(0)
    return (joints - (low + high) / 2) * tall / (high - low)[1] + (x, y)
