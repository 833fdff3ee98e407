"""Render sections as one HTML file that loads nothing from the network and sends nothing to it.

The template escapes all text. The content security policy allows only our own scripts, by their hashes, so that
the name of an image or a class could not run even if an escape were missing.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import partial
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from medray.report.blocks import PageHeader, PageSection

TEMPLATE, STYLE, SCRIPT = "page.html.j2", "page.css", "page.js"
POLICY = (
    "default-src 'none'; script-src {scripts} 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
    "form-action 'none'; base-uri 'none'"
)


def render(header: PageHeader, sections: Sequence[PageSection]) -> bytes:
    """Return the page as UTF-8; the same sections give the same bytes."""
    from plotly.offline import get_plotlyjs

    script, style = ((files("medray.report") / name).read_text(encoding="utf-8") for name in (SCRIPT, STYLE))
    scripts = [f"\n{text.strip()}\n" for text in (get_plotlyjs(), script)]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    environment = Environment(
        loader=PackageLoader("medray.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    dumps = partial(json.dumps, allow_nan=False, separators=(",", ":"))
    environment.filters["json"] = partial(htmlsafe_json_dumps, dumps=dumps)
    page = environment.get_template(TEMPLATE).render(
        header=header,
        sections=sections,
        titles={part.anchor: part.title for section in sections for part in section.parts},
        style=Markup(style),
        scripts=[Markup(text) for text in scripts],
        policy=POLICY.format(scripts=" ".join(f"'sha256-{digest}'" for digest in hashes)),
    )  # fmt: skip
    # A file's name may hold a lone surrogate, which UTF-8 can't encode.
    return page.encode(errors="xmlcharrefreplace")
