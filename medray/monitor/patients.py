"""Which answers are of one patient, and what a patient counts for: one bet, that does not change afterwards."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.monitor.logged_answers import LoggedAnswer


@dataclass(frozen=True, eq=False)
class Patients:
    """The patient of each of n answers by its `number` int64 (n,), and whether it was named, `keyed` bool (n,).

    Answers belong to one patient where they share its key or an image. One without a key has a number of its own
    unless it shares an image.
    """

    number: Array
    keyed: Array

    @classmethod
    def of(cls, answers: Sequence[LoggedAnswer], keys: Sequence[Iterable[str]]) -> "Patients":
        """Return the patients of answers, each of which may have several `keys`."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        tokens: dict[tuple[str, str], int] = {}
        count, rows, columns = len(answers), [], []
        for row, (answer, own) in enumerate(zip(answers, keys, strict=True)):
            for token in (*(("key", key) for key in own), *(("image", digest) for digest in answer.subject)):
                rows.append(row)
                columns.append(tokens.setdefault(token, count + len(tokens)))
        size = count + len(tokens)
        links = coo_array((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(size, size))
        number = connected_components(links, directed=False)[1][:count].astype(np.int64)
        return cls(number, np.array([bool(own) for own in keys], dtype=bool))

    def first_days(self, rows: Array, days: Array, today: str) -> "FirstDays":
        """Return which of the answers at `rows` (m,), known on `days` (m,), count: each patient's first day's.

        A patient who has a key and whose first day is not over counts from the next day on: more may come until
        then.
        """
        number, keyed = self.number[rows], self.keyed[rows]
        when, patient = days.astype("datetime64[D]"), np.unique(number, return_inverse=True)[1]
        first = np.full(patient.max(initial=-1) + 1, np.datetime64("9999-12-31"))
        np.minimum.at(first, patient, when)
        of_first = when == first[patient]
        waiting = of_first & keyed & (when >= np.datetime64(today))
        counted = of_first & ~waiting
        return FirstDays(counted, number[counted], len(np.unique(number[waiting])))


@dataclass(frozen=True, eq=False)
class FirstDays:
    """Which answers count, bool (m,), their patients, int64 (c,), and how many patients wait for tomorrow."""

    counted: Array
    patients: Array
    waiting: int

    def means(self, values: Array) -> Array:
        """Return the mean of `values` (m,) of each patient's counted answers, float64 (patients,)."""
        _, index = np.unique(self.patients, return_inverse=True)
        means: Array = np.bincount(index, weights=values[self.counted]) / np.bincount(index)
        return means
