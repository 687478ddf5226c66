"""The built book in a browser: nothing breaks, everything fits, and what moves can be moved.

Skipped where there is no Chromium.
"""

import functools
import os
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from axe_playwright_python import sync_playwright as axe
from playwright import sync_api as api

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium: put one on the "
                                "PATH, or name it in CHROMIUM")  # fmt: skip
# What the theme itself writes to the console, and what axe finds in its frame.
THEIR_WORDS = ("THEBE_JS_URL", "invalid theme mode", "reading 'classList'", "favicon")
THEIR_RULES = ("label-content-name-mismatch", "summary-name", "list", "aria-required-children",
               "skip-link")  # fmt: skip
FIRST, LOSSES = "book/intro", "notebooks/ch03_07_losses"
MIRROR = "notebooks/ch04_03_mirror_and_scale"
CLIPS = "notebooks/ch02_02_clips"  # the first of its figures that play is a film
MEGABYTE = 1_000_000
PATIENCE = 180_000  # milliseconds, for machines that have other work to do
api.expect.set_options(timeout=PATIENCE)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


@pytest.fixture(scope="module")
def site(html):
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(html)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()


@pytest.fixture(scope="module")
def chromium():
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, site):
    """Open a page by its name; what the browser then says and asks for is kept with it."""
    contexts = []

    def open_page(name, width=1280, **options):
        context = chromium.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.said, page.asked = [], []
        page.on("console", lambda m: page.said.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(f"{site}{name}.html")
        return page

    yield open_page
    for context in contexts:
        context.close()


def names(html: Path) -> list[str]:
    found = [*html.glob("book/**/*.html"), *html.glob("notebooks/*.html")]
    return sorted(str(path.relative_to(html).with_suffix("")) for path in found)


def test_every_page_is_quiet_light_no_wider_than_a_phone_and_needs_nothing_else(html, site, opened):
    page, wrong = opened(FIRST, width=390), []
    for name in names(html):
        page.said.clear()
        page.asked.clear()
        page.goto(f"{site}{name}.html")
        wrong += [f"{name}: {word}" for word in page.said
                  if not any(theirs in word for theirs in THEIR_WORDS)]  # fmt: skip
        wrong += [f"{name} asks for {url}" for url in page.asked
                  if not url.startswith((site, "data:", "blob:"))]  # fmt: skip
        files = {url.removeprefix(site).split("?")[0] for url in page.asked}
        own = [html / file for file in files if not file.startswith("_static/")]
        weight = sum(file.stat().st_size for file in own if file.is_file())
        wrong += [f"{name} weighs {weight / MEGABYTE:.2f} MB"] * (weight >= MEGABYTE)
        beyond = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        wrong += [f"{name} is {beyond} pixels too wide"] * (beyond > 0)
    assert not wrong, "\n".join(wrong)


def test_mathematics_is_rendered(opened):
    page = opened(LOSSES)
    page.wait_for_function("window.MathJax && MathJax.startup && MathJax.startup.promise")
    page.evaluate("() => MathJax.startup.promise")
    written = page.locator("article .math").count()
    assert written > 20 and page.locator("article mjx-container").count() >= written
    assert not page.locator("mjx-merror").count()


def controls(page):
    figure = page.locator("figure.skeletons").first
    figure.scroll_into_view_if_needed()
    return figure.locator("canvas"), figure.locator("button"), figure.locator("output")


def test_the_player_plays_and_turns_by_mouse(opened):
    page = opened(MIRROR)
    canvas, button, told = controls(page)
    api.expect(button).to_have_text("Pause")  # it begins when it is looked at
    button.click()
    api.expect(button).to_have_attribute("aria-pressed", "false")
    before, box = told.inner_text(), canvas.bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 110, box["y"] + 50)
    page.mouse.up()
    after = told.inner_text()
    assert (int(after[:-1]) - int(before[:-1])) % 360 in range(55, 66), (before, after)
    button.click()
    api.expect(button).to_have_text("Pause")


def test_the_player_plays_and_turns_by_keyboard(opened):
    page = opened(MIRROR, reduced_motion="reduce")
    canvas, button, told = controls(page)
    api.expect(button).to_have_text("Play")  # nothing moves unasked
    canvas.focus()
    page.keyboard.press("ArrowRight")
    assert told.inner_text() == "10°"
    page.keyboard.press("Space")
    api.expect(button).to_have_text("Pause")


def test_a_slider_says_what_would_be(opened):
    page = opened(LOSSES)
    figure = page.locator("figure.skeletons").first
    slider, told = figure.locator("input"), figure.locator("output")
    slider.focus()
    page.keyboard.press("Home")
    assert told.inner_text().startswith("-1.00 m: own picture off by 0 px")
    page.keyboard.press("ArrowRight")
    assert told.inner_text().startswith("-0.95 m")
    assert not figure.locator("button").count()


def test_the_board_is_sifted_by_keyboard(html, chromium):
    page = chromium.new_page()
    page.goto((html / "notebooks" / "claims.html").resolve().as_uri())  # as from a disk
    claims, shown = page.locator(".claims-board li"), page.locator(".claims-board li:visible")
    buttons = page.locator(".claims-board .sieve button")
    all_claims, words = claims.count(), buttons.all_inner_texts()
    assert shown.count() == all_claims and words[:2] == ["all chapters", "chapter 2"]
    buttons.nth(0).focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    of_chapter = page.locator('.claims-board [data-chapter="2"] li').count()
    assert shown.count() == of_chapter < all_claims
    assert buttons.nth(1).get_attribute("aria-pressed") == "true"
    buttons.nth(words.index("confirmed")).focus()
    page.keyboard.press("Space")
    confirmed = page.locator('.claims-board [data-chapter="2"] li.confirmed').count()
    assert shown.count() == confirmed < of_chapter
    told = page.locator(".claims-board [role=status]").inner_text()
    assert told == f"{confirmed} of {all_claims} claims are shown."
    for name in ("all verdicts", "all chapters"):
        buttons.nth(words.index(name)).click()
    assert shown.count() == all_claims
    page.close()


def test_without_a_script_all_claims_are_shown(opened):
    page = opened("notebooks/claims", java_script_enabled=False)
    claims = page.locator(".claims-board li")
    assert page.locator(".claims-board li:visible").count() == claims.count() > 0
    assert not page.locator(".claims-board button").count()


def test_a_film_plays_by_mouse_and_its_frames_by_the_slider(opened):
    page = opened(CLIPS)
    canvas, button, told = controls(page)
    api.expect(button).to_have_text("Pause")
    button.click()
    api.expect(button).to_have_text("Play")
    slider = page.locator("figure.skeletons").first.locator("input")
    slider.focus()
    page.keyboard.press("End")
    assert told.inner_text() == "23 of 23"
    # The pictures are drawn: many colours, and others in another frame.
    pixels = "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.join()"
    last = canvas.evaluate(pixels)
    assert len(set(last.split(","))) > 100
    page.keyboard.press("Home")
    assert told.inner_text() == "1 of 23" and canvas.evaluate(pixels) != last


def test_a_film_plays_by_keyboard_and_not_unasked(opened):
    page = opened(CLIPS, reduced_motion="reduce")
    canvas, button, told = controls(page)
    api.expect(button).to_have_text("Play")
    canvas.focus()
    before = int(told.inner_text().split()[0])
    page.keyboard.press("ArrowRight")
    assert told.inner_text() == f"{before + 1} of 23"
    page.keyboard.press("Space")
    api.expect(button).to_have_text("Pause")


@pytest.mark.parametrize("name", [MIRROR, CLIPS])
def test_without_a_script_and_on_paper_there_is_a_strip(opened, name):
    page = opened(name, java_script_enabled=False)
    assert page.locator("figure.skeletons .strip svg").first.is_visible()
    page = opened(name)
    canvas, *_ = controls(page)
    strip = page.locator("figure.skeletons .strip").first
    assert canvas.is_visible() and not strip.is_visible()
    page.emulate_media(media="print")
    assert strip.is_visible() and not canvas.is_visible()


@pytest.mark.parametrize("data", ["{", '{"bodies": [{"at": "?"}]}'])
def test_a_clip_that_cannot_be_read_leaves_the_strip(chromium, data):
    page = chromium.new_page()
    script = (ROOT / "book" / "_static" / "player.js").read_text(encoding="utf-8")
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.set_content(
        f'<figure class="skeletons"><div class="strip">still</div><script type="application/json">'
        f"{data}</script></figure><script>{script}</script>"
    )
    assert page.locator(".strip").is_visible() and said and said[0].startswith("skeletons: ")
    page.close()


@pytest.mark.parametrize(("words", "wanted"), [
    ("Table 3.1", "ch03_12_table_3_1"), ("ViewSequence", "api_data.html"),
    ("own cameras", "own_cameras"), ("own footage", "own_video"),
])  # fmt: skip
def test_search_finds(opened, words, wanted):
    page = opened("search")
    page.goto(f"{page.url}?q={words.replace(' ', '+')}")
    page.wait_for_selector("#search-results li a")
    page.wait_for_function("!document.querySelector('#search-progress')?.textContent.endsWith('.')"
                           " || document.querySelectorAll('#search-results li').length > 4")
    found = page.locator("#search-results li > a").evaluate_all("all => all.map(a => a.href)")
    assert any(wanted in address for address in found[:10]), found[:10]


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("name", [FIRST, "book/ch03/index", MIRROR, LOSSES, "notebooks/claims"])
def test_axe_finds_nothing_serious_of_ours(opened, name, mode):
    page = opened(name, width=390, reduced_motion="reduce")
    page.evaluate(f"document.documentElement.dataset.theme = '{mode}'")
    found = axe.Axe().run(page).response["violations"]
    ours = [(rule["id"], [node["html"][:120] for node in rule["nodes"][:3]]) for rule in found
            if rule["impact"] in ("serious", "critical") and rule["id"] not in THEIR_RULES]
    assert not ours, ours
