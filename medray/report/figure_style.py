"""The look of figures; colours that depend on light or dark mode are set by the page itself."""

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: After Okabe and Ito (2008), in tones that stand out from white and from near black.
BLUE, ORANGE, GREEN, PURPLE, YELLOW, TEAL, RED, GREY = COLOURS = (
    "#3182c6", "#d9722e", "#2a9d76", "#b065c4", "#b8921f", "#3aa7b8", "#d1506f", "#8a8f98",
)  # fmt: skip
DASHES = ("solid", "dash", "dot", "dashdot")
#: From low to high, distinguishable on white and on near black, and by the colour-blind.
SCALE = [[0.0, "#8468d8"], [0.5, "#189a9a"], [1.0, "#e0861a"]]
HEIGHT = 380  # pixels


def plain(text: str) -> str:
    """Return a text that plotly shows unchanged: it would read tags, and take `%{` for a template."""
    return html.escape(text, quote=False).replace("%{", "%\u200b{")


def shortened(text: str, limit: int = 26) -> str:
    """Return a text, shortened to `limit` characters with an ellipsis."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def axis(title: str, **more: Any) -> dict[str, Any]:
    """Return plotly's settings of an axis with a title."""
    return {"title": {"text": plain(title)}, "automargin": True, "zeroline": False, **more}


def figure(x: dict[str, Any], y: dict[str, Any], *, height: int = HEIGHT, **layout: Any) -> "go.Figure":
    """Return an empty figure with the axes `x` and `y` and the legend above it."""
    import plotly.graph_objects as go

    settings = {
        "xaxis": x,
        "yaxis": y,
        "height": height,
        "margin": {"l": 12, "r": 12, "t": 12, "b": 12},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "hovermode": "closest",
        "template": None,
        **layout,
    }
    return go.Figure(layout=settings)


def line_look(index: int) -> dict[str, Any]:
    """Return colour and dash of line number `index`; no two of the first 32 are the same."""
    return {"color": COLOURS[index % len(COLOURS)], "dash": DASHES[index // len(COLOURS) % len(DASHES)]}


def spec(figure: "go.Figure") -> dict[str, Any]:
    """Return a figure as values that JSON can hold; numbers stay readable lists."""
    content: dict[str, Any] = figure.to_dict()
    return {"data": content["data"], "layout": {k: v for k, v in content["layout"].items() if k != "template"}}


def bars(data: Mapping[str, Sequence[float | None]]) -> dict[str, Any]:
    """Return error bars from each `value` to its `low` and `high`, of length 0 where an interval is None."""

    def reach(value: float | None, end: float | None) -> float:
        return 0.0 if value is None or end is None else abs(end - value)

    return {
        "type": "data", "symmetric": False, "thickness": 1.5, "width": 4, "color": GREY,
        "array": [reach(v, h) for v, h in zip(data["value"], data["high"], strict=True)],
        "arrayminus": [reach(v, low) for v, low in zip(data["value"], data["low"], strict=True)],
    }  # fmt: skip


def legend_only(name: str, line: dict[str, Any]) -> dict[str, Any]:
    """Return a trace without points that explains a line in the legend, and shows or hides its whole group."""
    return {
        "x": [None], "y": [None], "mode": "lines", "line": line, "name": name, "legendgroup": name,
        "showlegend": True,
    }  # fmt: skip
