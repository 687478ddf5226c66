"""A Sphinx extension: one setting, `repository: url` of _config.yml, says where the source lies.

Empty, as long as the book is not published, and no page has a button that leads there. Set, each
page has buttons to the repository, to its own source and to a new issue; a notebook can be run on
Binder as well, which installs environment.yml. There is none for Colab: it opens a notebook alone,
and ours read a package and files that stand beside them.
"""

REPOSITORY = ("use_repository_button", "use_source_button", "use_issues_button")
BINDER = {"notebook_interface": "jupyterlab", "binderhub_url": "https://mybinder.org"}


def _ask_for_buttons(app, config) -> None:
    """Told to the theme here, because it fails on a button that has no address."""
    theme = config.html_theme_options
    if theme.get("repository_url"):
        theme.update(dict.fromkeys(REPOSITORY, True), launch_buttons=BINDER)


def _show_the_text(app, page, template, context, doctree) -> None:
    """A notebook's source is its half with the text: the other one is outputs for the most part."""
    for group in context.get("header_buttons", ()):
        for button in group.get("buttons", ()):
            if button.get("label") == "source-file-button":
                button["url"] = button["url"].replace(".ipynb?", ".md?")


def setup(app) -> dict:
    """Called by Sphinx."""
    app.connect("config-inited", _ask_for_buttons)
    app.connect("html-page-context", _show_the_text, priority=502)  # after the theme's own
    return {"version": "1", "parallel_read_safe": True}
