"""The page: sections into one HTML file that needs nothing else, and may load and send nothing.

All text is escaped by the template. Only the scripts that are named by their hashes run, so what an image or a
class is called can't run even if an escape were missing.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache, partial
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from medray.report.blocks import Header, Section

TEMPLATE, STYLE, SCRIPT = "page.html.j2", "page.css", "page.js"
POLICY = (
    "default-src 'none'; script-src {scripts} 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
    "form-action 'none'; base-uri 'none'"
)


def render(header: Header, sections: Sequence[Section]) -> bytes:
    """Return the page as UTF-8; the same sections give the same bytes."""
    from plotly.offline import get_plotlyjs

    scripts = [f"\n{script.strip()}\n" for script in (get_plotlyjs(), _own(SCRIPT))]
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    page = _environment().get_template(TEMPLATE).render(
        header=header,
        sections=sections,
        style=Markup(_own(STYLE)),
        scripts=[Markup(script) for script in scripts],
        policy=POLICY.format(scripts=" ".join(f"'sha256-{own}'" for own in hashes)),
    )  # fmt: skip
    return page.encode(errors="xmlcharrefreplace")  # a file's name may hold what UTF-8 does not


def _own(name: str) -> str:
    return (files("medray.report") / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("medray.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    dumps = partial(json.dumps, allow_nan=False, separators=(",", ":"))
    environment.filters["json"] = partial(htmlsafe_json_dumps, dumps=dumps)
    return environment
