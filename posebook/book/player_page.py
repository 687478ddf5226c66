"""The player as a page of its own: one file that needs neither a server nor a network."""

import html
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from posebook.book.player import player
from posebook.geometry.skeleton import H36M
from posebook.paths import book_folder
from posebook.storage import whole

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font-family: sans-serif; max-width: 60rem; margin: 1rem auto; padding: 0 1rem; }}
{style}</style></head>
<body><h1>{title}</h1>{figure}
<script>{script}</script></body></html>
"""


def write_player(
    path: Path, bodies: Mapping[str, np.ndarray], title: str, fps: float, caption: str = ""
) -> Path:
    """Bodies (T, 17, 3), metres in a camera's frame, each kept in its place, as a page that plays.

    Frames that do not show a body (NaN) have a dot.

    Raises:
        FileNotFoundError: where posebook does not run from a clone, which has the script.
    """
    static = book_folder() / "_static"
    style, script = ((static / name).read_text("utf-8") for name in ("posebook.css", "player.js"))
    still = {name: Y - Y[:, H36M.root : H36M.root + 1] for name, Y in bodies.items()}
    figure = player(still, title, fps=fps, caption=caption).data
    with whole(path) as file:
        page = _PAGE.format(title=html.escape(title), style=style, figure=figure, script=script)
        file.write(page.encode())
    return path
