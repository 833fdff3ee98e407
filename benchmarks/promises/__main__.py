"""Whether medray's promises hold: simulated studies, from the images to the answers for new ones.

Each part simulates studies, lets medray's own code promise what it promises, and prints that beside what was true:

  decisions       sensitivities, conformal sets and calibration of every ensemble, of 20,000 new images
  intervals       95 % intervals of an evaluation, with and without patients
  comparisons     families of comparisons between models that do not differ
  early-stopping  how much better a held-out fold's best epoch scores than new images
  grades          cuts, sets and intervals of ordered grades
  label-intervals 95 % intervals of an evaluation of several labels an image
  label-decisions sensitivities and conformal sets of each of several labels
  cases           sensitivities and conformal sets of cases of several images
  monitoring      alarms about a model in use, looked at each day, with several images of a patient
  nested          the figure of a nested cross-validation, beside what a search says of itself

    uv run python -m benchmarks.promises [PART ...] [--data FILE.npz] [--quick] [--studies N] [--write PAGE]

`--data` is an .npz of two classes in MedMNIST's form, whose pixels are the features; without it they are drawn.
Exits with 1 where a promise is broken.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from . import (
    cases,
    comparisons,
    decisions,
    early_stopping,
    grades,
    intervals,
    label_decisions,
    label_intervals,
    monitoring,
    nested,
)
from .population import Population
from .table import Section, write_section

Part = Callable[[Population, int, bool, int | None], Iterator[str | Section]]
PARTS: dict[str, Part] = {
    "decisions": decisions.run,
    "intervals": intervals.run,
    "comparisons": comparisons.run,
    "early-stopping": early_stopping.run,
    "grades": grades.run,
    "label-intervals": label_intervals.run,
    "label-decisions": label_decisions.run,
    "cases": cases.run,
    "monitoring": monitoring.run,
    "nested": nested.run,
}


def main() -> None:
    """Run the studies, print the tables, and exit with 1 where a promise is broken."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.promises",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}  [all]")
    parser.add_argument("--data", help="An .npz of two classes whose pixels are used; drawn features without it")
    parser.add_argument("--studies", type=int, help="Studies of each kind  [each part's number]")
    parser.add_argument("--quick", action="store_true", help="Fewer kinds and studies: minutes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--write", metavar="PAGE", type=Path, help="Put each table between this page's marks of it"
    )
    given = parser.parse_args()
    for part in given.parts:
        if part not in PARTS:
            parser.error(f"no part '{part}': {', '.join(PARTS)}")
    population, broken = Population(given.data, given.seed), 0
    for part in given.parts or PARTS:
        start = time.perf_counter()
        for item in PARTS[part](population, given.seed, given.quick, given.studies):
            if isinstance(item, str):
                print(f"{part}: {item}, {time.perf_counter() - start:.0f} s", file=sys.stderr)
                continue
            print(f"## {part}\n\n{item.text}\n", flush=True)
            broken += len(item.broken)
            if given.write:
                write_section(given.write, part, item)
    print(f"{broken} promises broken")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
