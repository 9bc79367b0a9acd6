"Settings of the site; tools/build_site.py lays out its source and calls Sphinx."
import inspect
import re

import leuknb

project, author, copyright = "leuknb", "leuknb contributors", "leuknb contributors, Apache 2.0"
version = release = leuknb.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx_design", "sphinx_copybutton"]
language = "en"

nb_execution_mode = "off"
nb_merge_streams = True
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"
nb_render_markdown_format = "myst"
nb_mime_priority_overrides = [("html", "text/markdown", 5)]
myst_enable_extensions = ["amsmath", "dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 4
myst_links_external_new_tab = False
suppress_warnings = ["myst.header", "mystnb.mime_type"]
mathjax_path = "mathjax.js"
mathjax3_config = {"options": {"enableMenu": False}}  # its menu would load parts that are not bundled

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_use_unqualified_type_names = True
add_module_names = False

html_theme = "pydata_sphinx_theme"
html_title = "leuknb"
html_context = {"default_mode": "auto"}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["keyboard.js"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "leuknb"},
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "footer_start": ["disclaimer"],
    "footer_end": ["copyright"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "icon_links": [{"name": "Source on GitHub", "url": "https://github.com/leuknb/leuknb", "icon": "fa-brands fa-github"}],
    "secondary_sidebar_items": ["page-toc"],
    "search_as_you_type": False,
}
html_sidebars = {"gallery": [], "command": []}
templates_path = ["_templates"]
exclude_patterns = ["_templates"]


def document(app, what, name, obj, options, lines):
    "Write docments, and the settings of an estimator, as fields of a docstring."
    lines[:] = [re.sub(r"(?<=\w)_(?=\W|$)", r"\\_", line) for line in lines]  # best_score_ is no reference
    settings = next((i for i, line in enumerate(lines) if line.strip() == "Settings:"), None)
    if settings is not None:
        listed = lines[settings + 1:]
        del lines[settings:]
        lines += [re.sub(r"^\s*(\w+) = (.*?): (.*)$", r":param \1: \3 (default: ``\2``)", line) for line in listed]
    elif what in ("function", "method", "class") and callable(obj):
        lines += ["", *fields(obj.__init__ if what == "class" and "__init__" in vars(obj) else obj)]


def fields(obj):
    "The comments beside the parameters of a function, as fields."
    from fastcore.docments import docments
    try:
        found = docments(obj, full=True, returns=True, eval_str=False)
        shown = set(inspect.signature(obj).parameters)
    except (OSError, TypeError, ValueError, SyntaxError):
        return
    for name, about in found.items():
        text = " ".join(str(about.docment or "").split()).replace("*", r"\*").replace("|", r"\|").replace("`", "``")
        text = re.sub(r"(?<=\w)_(?=\W|$)", r"\\_", text)
        if text and name == "return":
            yield f":returns: {text}"
        elif text and name in shown - {"self"}:
            yield f":param {name}: {text}"


def skip(app, what, name, obj, skipped, options):
    "Leave out the methods that scikit-learn adds for its metadata routing."
    return True if re.fullmatch(r"set_\w+_request", name) else None


def setup(app):
    app.connect("autodoc-skip-member", skip)
    app.connect("autodoc-process-docstring", document)
