"""How figures look; what depends on light or dark is set by the page itself."""

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: Of Okabe and Ito's (2008) kind, in tones that stand out from white and from near black.
BLUE, ORANGE, GREEN, PURPLE, YELLOW, TEAL, RED, GREY = COLOURS = (
    "#3182c6", "#d9722e", "#2a9d76", "#b065c4", "#b8921f", "#3aa7b8", "#d1506f", "#8a8f98",
)  # fmt: skip
DASHES = ("solid", "dash", "dot", "dashdot")
#: From few to many, to be told apart on white and on near black, and by the colour-blind.
SCALE = [[0.0, "#8468d8"], [0.5, "#189a9a"], [1.0, "#e0861a"]]
HEIGHT = 380  # pixels


def plain(text: str) -> str:
    """A text as plotly shows it letter by letter: it would read tags, and hold `%{` for a figure."""
    return html.escape(text, quote=False).replace("%{", "%\u200b{")


def cut(text: str, most: int = 26) -> str:
    """As much of a text as a figure has room for."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis with its title."""
    return {"title": {"text": plain(title)}, "automargin": True, "zeroline": False, **more}


def figure(x: dict[str, Any], y: dict[str, Any], *, height: int = HEIGHT, **layout: Any) -> "go.Figure":
    """An empty figure with these axes and its legend above."""
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


def line_look(place: int) -> dict[str, Any]:
    """Colour and dash of the line at `place`; no two of the first 32 are the same."""
    return {"color": COLOURS[place % len(COLOURS)], "dash": DASHES[place // len(COLOURS) % len(DASHES)]}


def spec(figure: "go.Figure") -> dict[str, Any]:
    """A figure as values that JSON can hold; numbers stay lists, so that a person can read them."""
    found: dict[str, Any] = figure.to_dict()
    return {"data": found["data"], "layout": {k: v for k, v in found["layout"].items() if k != "template"}}


def bars(data: Mapping[str, Sequence[float | None]]) -> dict[str, Any]:
    """Error bars from each `value` to its `low` and `high`; none where an interval is not defined."""

    def reach(value: float | None, end: float | None) -> float:
        return 0.0 if value is None or end is None else abs(end - value)

    return {
        "type": "data", "symmetric": False, "thickness": 1.5, "width": 4, "color": GREY,
        "array": [reach(v, h) for v, h in zip(data["value"], data["high"], strict=True)],
        "arrayminus": [reach(v, low) for v, low in zip(data["value"], data["low"], strict=True)],
    }  # fmt: skip


def legend_only(name: str, look: dict[str, Any], mode: str = "lines") -> dict[str, Any]:
    """A trace without points that explains a look in the legend, and shows or hides its whole group."""
    own = {"line": look} if mode == "lines" else {"marker": look}
    return {"x": [None], "y": [None], "mode": mode, "name": name, "legendgroup": name, "showlegend": True, **own}
