"""The book, built by `make docs`.  What is said in the code is taken from there: extension/."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "extension"), str(HERE.parent / "src"), str(HERE.parent / "benchmarks")]

from pinhold import __version__  # noqa: E402 (found by the path of now)

project = "pinhold"
author = "the authors of pinhold"
copyright = "the authors of pinhold, Apache License 2.0"
release = version = __version__

extensions = ["myst_parser", "book"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "extension"]
nitpicky = True

html_theme = "furo"
html_title = "pinhold"
html_show_search_summary = False  # the summaries are fetched, which a page opened from a file may not do
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["book.css"]

man_pages = [("reference/commands", "pinhold", "is the memory that a device was given still the process's?", author, 1)]
