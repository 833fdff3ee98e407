"""Board: what all replicas of a service have counted, those that are gone among them."""

import threading
from collections.abc import Mapping
from typing import Any

from medray.errors import RunError, unknown
from medray.serving.telemetry.snapshot import Snapshot, add_up, without_gauges
from medray.serving.telemetry.spec import Series

KEPT = 64  # gone replicas that a late word is still expected from


class Board:
    """The latest snapshot of each replica by its name, and what gone ones counted; safe to be used by threads.

    Each life of a replica counts once, whatever comes late, twice or in another order: its last snapshot is
    kept apart for a while after it went, in case that was not the last. A replica that starts anew under its
    old name is a new life, and what the old one counted stays.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: dict[str, str] = {}  # name -> source
        self._known: dict[str, Snapshot] = {}  # by source, of live replicas and of those that went lately
        self._folded: set[str] = set()
        self._base: Series = add_up([])

    def put(self, name: str, snapshot: Mapping[str, Any]) -> None:
        """Take a replica's snapshot; one that is older than what is known changes nothing.

        Raises:
            DataError: it is damaged.
            RunError: it is of a replica that went so long ago that it can't be told from the rest.
        """
        new = Snapshot.from_dict(snapshot)
        with self._lock:
            if new.source in self._folded:
                raise RunError(f"replica '{name}' was retired long ago; it must start anew to be counted")
            known = self._known.get(new.source)
            if known is not None and known.sequence >= new.sequence:
                return
            if known is None or name not in self._live:  # a late word of a former life does not displace the new
                self._leave(name)
                self._live[name] = new.source
            self._known[new.source] = new
            self._fold()

    def retire(self, name: str) -> None:
        """Let a replica go: what it counted stays in the totals, its gauges do not.

        Raises:
            RunError: there is no such replica.
        """
        with self._lock:
            if name not in self._live:
                raise RunError(unknown("replica", name, self._live))
            self._leave(name)
            self._fold()

    def snapshots(self) -> list[dict[str, Any]]:
        """Return the live replicas' snapshots, and before them one of all that went, if any did."""
        with self._lock:
            live = [self._known[source] for source in dict.fromkeys(self._live.values())]
            gone = [self._known[source].series for source in self._gone()]
            if gone or self._folded:
                series = add_up([self._base, *map(without_gauges, gone)])
                live.insert(0, Snapshot("gone", 0, series))
            return [snapshot.to_dict() for snapshot in live]

    def _gone(self) -> list[str]:
        """The sources that are no live replica's, first the one that went first."""
        live = set(self._live.values())
        return [source for source in self._known if source not in live]

    def _leave(self, name: str) -> None:
        source = self._live.pop(name, None)
        if source is not None:
            self._known[source] = self._known.pop(source)  # it went last

    def _fold(self) -> None:
        for source in self._gone()[:-KEPT]:
            self._base = add_up([self._base, without_gauges(self._known.pop(source).series)])
            self._folded.add(source)
