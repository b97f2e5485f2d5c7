"""How the documentation is built: `make docs`.

The pages of settings and commands are written from the code first.
"""

import sys
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import written_pages  # noqa: E402 - lies beside this file

project = "paretohqd"
author = "the paretohqd developers"
copyright = author
release = metadata.version("paretohqd")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True  # named tuples describe their fields once
# What stands between single backquotes in the docstrings is code.
default_role = "code"

html_theme = "furo"
html_title = f"paretohqd {release}"
html_static_path = ["static"]
html_css_files = ["tables.css"]
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "monokai"


def setup(app):
    """Write the pages that come from elsewhere before anything is read."""
    app.connect("builder-inited", lambda _: written_pages.write(HERE / "written"))
    app.connect("source-read", _link_to_pages)


def _link_to_pages(app, page, source):
    """A text of the repository's top that is a page here is linked as one."""
    if "/" not in page:
        source[0] = written_pages.relinked(source[0], "../", "written/")
