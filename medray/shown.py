"""Shown: results that a notebook shows as their command prints them."""

import io
from collections.abc import Callable
from importlib import import_module
from typing import ClassVar

from rich.console import Console

WIDTH = 110  # cells of a line in a notebook
CODE = '<pre style="line-height: 1.25; overflow-x: auto; white-space: pre">{code}</pre>'


class Shown:
    """A result with a printer, `module:function` of the result and a console.

    It is named and not imported, as the printer's module imports the result.
    """

    printer: ClassVar[str]

    def _repr_html_(self) -> str:
        module, _, function = self.printer.partition(":")
        return html_of(lambda console: getattr(import_module(module), function)(self, console))


def html_of(show: Callable[[Console], None]) -> str:
    """Return what `show` prints to a console, as HTML."""
    console = Console(file=io.StringIO(), record=True, width=WIDTH, force_jupyter=False)
    show(console)
    return console.export_html(code_format=CODE, inline_styles=True)
