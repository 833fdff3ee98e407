"""Where a study lies, and how it runs: what all of its steps share."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.console import Console


class StudyFolder:
    """A search space, its data and the run's folder that all steps write to; arguments as for `medray.Study`."""

    def __init__(
        self,
        space: str | Path,
        *,
        data: str | Path | None = None,
        out: str | Path | None = None,
        runner: str = "ray",
        address: str | None = None,
        track: str | Sequence[str] = (),
        quiet: bool = False,
    ) -> None:
        from medray.cluster.runners import check_runner
        from medray.runs.folder import locate
        from medray.space.loading import load_space
        from medray.track.trackers import check_trackers

        check_runner(runner, address, None, None)
        self.track = (track,) if isinstance(track, str) else tuple(track)
        check_trackers(self.track)
        self.space = str(space)
        self.data = None if data is None else str(data)
        self.location = locate(f"runs/{load_space(self.space).name}" if out is None else str(out))
        self.runner, self.address, self.quiet = runner, address, quiet

    @classmethod
    def open(
        cls,
        run: str | Path,
        *,
        data: str | Path | None = None,
        runner: str = "ray",
        address: str | None = None,
        track: str | Sequence[str] = (),
        quiet: bool = False,
    ) -> Self:
        """Open the study in a run's folder, to go on with it or to ask its ensemble.

        Args:
            run: the run's folder, a path or a URI.
            data: where the images lie now, where that is not where the search found them.
            runner, address, track, quiet: as for `Study`.

        Raises:
            RunError: there is no run.

        Example:
            >>> medray.Study.open("runs/x").trials()["state"].tolist()
            ['finished', 'finished']
        """
        from medray.runs.finished_search import find_run

        folder = find_run(str(run))
        space = folder.path(folder.SPACE)
        return cls(space, data=data, out=folder.location, runner=runner, address=address, track=track, quiet=quiet)

    def __repr__(self) -> str:
        return f"Study({self.space!r}, out={self.location!r}, runner={self.runner!r})"

    def _console(self) -> "Console":
        from medray.console import make_console

        if not self.quiet:
            return make_console()
        from rich.console import Console

        return Console(quiet=True)
