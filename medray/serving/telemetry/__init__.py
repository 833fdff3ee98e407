"""Telemetry: what a replica counts, and the sum over all replicas in Prometheus' text format.

Each replica has a Telemetry; its snapshot holds whole numbers only (sums of seconds as nanoseconds), so that
adding snapshots up never rounds, in whatever order. A Board holds the latest snapshot of each replica and all
that gone ones counted. As long as everybody reads the totals from one Board, no counter ever goes down.
"""

from medray.serving.telemetry.counting import Telemetry
from medray.serving.telemetry.metrics import OTHER, ROUTES, SPECS
from medray.serving.telemetry.prometheus_page import CONTENT_TYPE, render
from medray.serving.telemetry.totals import Board

__all__ = ["CONTENT_TYPE", "OTHER", "ROUTES", "SPECS", "Board", "Telemetry", "render"]
