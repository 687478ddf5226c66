"""Print the built book as one PDF, with the Chromium that is there.

    python tools/print_book.py check              refuse in a sentence where there is no Chromium
    python tools/print_book.py HTML FILE          print the pages of the folder HTML to FILE

All pages go into one document, in the order of _toc.yml, so that a link to another page leads to
its place in the PDF.
"""

import os
import posixpath
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from bs4 import BeautifulSoup
from pages import listed

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
SECONDS = 600
STYLE = """<style>
  @page { size: A4; margin: 18mm 16mm; }
  .printed { break-before: page; max-width: 46rem; margin: 0 auto; }
  .printed pre, .printed code { white-space: pre-wrap; overflow-wrap: anywhere; }
  .printed table { font-size: 0.8em; }
  .printed .diagram svg { min-width: 0; }
  .printed figure, .printed img, .printed tr { break-inside: avoid; }
  .printed .headerlink, .printed button, .printed details:not([open]) { display: none; }
</style>"""


def chromium() -> str:
    """Where Chromium is; ends with a sentence where it is not."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), "")
    if not shutil.which(found):
        sys.exit(
            "Cannot print: there is no Chromium on the PATH; install one (apt-get install "
            "chromium), or name it, for example  make pdf CHROMIUM=/opt/chrome/chrome"
        )
    return found


def anchor(page: str, place: str = "") -> str:
    """The name in the one document of a page, or of a place in it."""
    return re.sub(r"\W", "-", page) + (f"--{place}" if place else "")


def article(html: Path, page: str, pages: set[str]) -> str:
    """The text of a page, its links and pictures fit for the one document at the folder's top."""
    soup = BeautifulSoup((html / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
    body = soup.select_one("article")
    folder = posixpath.dirname(page)
    for tag in body(id=True):
        tag["id"] = anchor(page, tag["id"])
    for tag in body("script"):
        tag.decompose()
    for fold in body("details"):
        if "above-input" not in fold.get("class", ()) or fold.select_one(".cell_output"):
            fold["open"] = ""  # on paper nobody can open it; code alone stays away
    for image in body("img", src=True):
        image["src"] = posixpath.normpath(posixpath.join(folder, image["src"]))
    for link in body("a", href=True):
        address = urlsplit(link["href"])
        if address.scheme or address.netloc:
            continue
        target = posixpath.normpath(posixpath.join(folder, address.path)) if address.path else page
        target = target.removesuffix(".html")
        if target in pages:
            link["href"] = f"#{anchor(target, address.fragment)}"
    return f'<section class="printed" id="{anchor(page)}">{body.decode_contents()}</section>'


def document(html: Path) -> str:
    """All pages as one, with the head of the first."""
    pages = list(listed(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))))
    first = html / f"{pages[0]}.html"
    head = BeautifulSoup(first.read_text(encoding="utf-8"), "html.parser").head
    for tag in head(["link", "script"]):
        for word in ("href", "src"):
            if tag.get(word) and not urlsplit(tag[word]).scheme:
                base = posixpath.dirname(pages[0])
                tag[word] = posixpath.normpath(posixpath.join(base, tag[word]))
    parts = "\n".join(article(html, page, set(pages)) for page in pages)
    return f"<!doctype html><html>{head.decode()}{STYLE}<body>{parts}</body></html>"


def print_book(html: Path, file: Path) -> None:
    """Write the PDF; ends with a sentence where Chromium fails."""
    source = html / "print.html"
    source.write_text(document(html), encoding="utf-8")
    command = [chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer",
               "--allow-file-access-from-files", "--virtual-time-budget=300000",
               f"--print-to-pdf={file.resolve()}", source.resolve().as_uri()]  # fmt: skip
    file.unlink(missing_ok=True)
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        sys.exit(f"Cannot print: Chromium did not end within {SECONDS} seconds")
    finally:
        source.unlink()
    if ran.returncode or not file.is_file():
        last = (ran.stderr.strip() or "it said nothing").splitlines()[-1]
        sys.exit(f"Cannot print: Chromium wrote no {file}; its last words: {last}")
    print(f"The book is printed: {file.resolve()}, {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    if sys.argv[1:] == ["check"]:
        chromium()
    else:
        print_book(Path(sys.argv[1]), Path(sys.argv[2]))
