"""A Sphinx extension: a diagram stands in its page itself, so that its links and colours work.

Pages name the file as they name any picture, in a `{figure}`; tools/diagrams.py draws the files.
"""

import posixpath
from html import escape
from pathlib import Path

from docutils import nodes

FOLDER = "book/diagrams/"
HERE = "../../book/"  # the way from a diagram to the pages that it links to


def inlined(svg: str, page: str, alt: str = "") -> str:
    """The SVG as HTML for `page`, such as "notebooks/ch02_03_base_network".

    It scrolls by itself where the page is narrower than its letters can be read.
    """
    to_book = posixpath.relpath("book", posixpath.dirname(page)) + "/"
    return (
        f'<div class="diagram" tabindex="0" role="group" aria-label="{escape(alt)}">'
        f"{svg.replace(HERE, to_book)}</div>"
    )


def _inline(app, doctree, page) -> None:
    """Put the file's text in the place of each picture of the folder of diagrams."""
    for image in list(doctree.findall(nodes.image)):
        if image["uri"].startswith(FOLDER) and app.builder.format == "html":
            svg = Path(app.srcdir, image["uri"]).read_text(encoding="utf-8")
            html = inlined(svg, page, image.get("alt", ""))
            image.replace_self(nodes.raw("", html, format="html"))


def setup(app) -> dict:
    """Called by Sphinx."""
    app.connect("doctree-resolved", _inline)
    return {"version": "1", "parallel_read_safe": True}
