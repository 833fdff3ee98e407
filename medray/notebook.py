"""Progress in a notebook: a picture in a cell that is redrawn in place, without ipywidgets."""

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import IO, Any

from rich.console import Console, RenderableType

from medray.shown import WIDTH, html_of

REDRAWN_EVERY = 1.0  # seconds


class NotebookConsole(Console):
    """A console in a notebook: its lines are plain text of the cell, not a block of HTML each."""

    def __init__(self, stream: IO[str]) -> None:
        # tqdm, which packages import, advises ipywidgets, which nothing here needs.
        warnings.filterwarnings("ignore", "IProgress not found")
        super().__init__(file=stream, width=WIDTH, force_jupyter=False, force_terminal=False, color_system=None)


class CellPicture:
    """A picture in the cell that runs, which `show` replaces."""

    def __init__(self) -> None:
        self.handle: Any = None

    @property
    def is_shown(self) -> bool:
        """Whether there is something to replace."""
        return self.handle is not None

    def show(self, picture: RenderableType) -> None:
        """Show what rich can print, in place of what was shown before."""
        from IPython.display import HTML, display

        html = HTML(html_of(lambda console: console.print(picture)))
        if self.handle is None:
            self.handle = display(html, display_id=True)
        else:
            self.handle.update(html)


@contextlib.contextmanager
def redrawn(draw: Callable[[], RenderableType], every: float = REDRAWN_EVERY) -> Iterator[None]:
    """Show what `draw` returns, redrawn `every` so many seconds and a last time as the block ends."""
    picture, ended = CellPicture(), threading.Event()

    def redraw() -> None:
        while not ended.wait(every):
            with contextlib.suppress(Exception):  # a picture less, as where the kernel's front end is gone
                picture.show(draw())

    thread = threading.Thread(target=redraw, name="notebook picture", daemon=True)
    picture.show(draw())  # by the thread that runs the cell, so that it is of this cell
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with contextlib.suppress(Exception):  # nor in place of the search's own error
            picture.show(draw())
