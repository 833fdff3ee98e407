"""The interface's description as a page for people; it loads nothing from anywhere."""

import json
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid #8884; margin-top: 1.5rem; padding-top: .5rem; }
code, pre { font: .875rem/1.4 ui-monospace, monospace; }
pre { background: #8882; padding: .75rem; overflow-x: auto; border-radius: .4rem; }
.method { font-weight: 700; }
table { border-collapse: collapse; } td { padding: .15rem 1rem .15rem 0; vertical-align: top; }
"""


def page(description: dict[str, Any]) -> str:
    """Write an OpenAPI description as HTML."""
    info = description["info"]
    parts = [
        _operation(path, method, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{escape(info['title'])}</title><style>{STYLE}</style>"
        f"<h1>{escape(info['title'])}</h1><p>{escape(info['description'])}</p>"
        "<p><a href=/openapi.json>openapi.json</a> · <a href=/>the page to try it on</a></p>"
        f"<pre>curl --data-binary @image.png -H 'Content-Type: image/png' http://127.0.0.1:8000/predict\n"
        f"curl -F file=@a.png -F file=@b.dcm 'http://127.0.0.1:8000/predict?explain=true'</pre>{''.join(parts)}"
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{status}</code><td>{escape(answer['description'])}"
        for status, answer in operation["responses"].items()
    )
    taken = operation.get("requestBody", {}).get("content", {})
    takes = f"<p>Takes <code>{'</code>, <code>'.join(map(escape, taken))}</code></p>" if taken else ""
    parameters = "".join(
        f"<p><code>{escape(p['name'])}</code> ({p['in']}) {escape(p.get('description', ''))}</p>"
        for p in operation["parameters"]
    )
    ok = operation["responses"]["200"].get("content", {})
    example = next((media["example"] for media in ok.values() if "example" in media), None)
    shown = f"<pre>{escape(json.dumps(example, indent=2, ensure_ascii=False))}</pre>" if example else ""
    return (
        f"<section><h2><span class=method>{method.upper()}</span> <code>{escape(path)}</code></h2>"
        f"<p>{escape(operation['summary'])}</p>{parameters}{takes}<table>{rows}</table>{shown}</section>"
    )
