"""Simulate shortcuts of the audit: how often one is named wrongly, and how often a planted one is named.

independent  15 facts that have nothing to do with the class: data sets with a finding
boundary     10 facts whose AUC is 0.7, what is not reported yet: data sets with a finding
planted      a size that 90 % of a class have, and 5 % of the others, among 14 such facts: data sets that name it

    uv run python -m benchmarks.shortcuts [--sets 500]
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from medray._types import Array
from medray.audit.shortcuts.facts import FORM, Fact
from medray.audit.shortcuts.find_shortcuts import LEAST_CASES, separating_facts


def independent_facts(rng: np.random.Generator, groups: Array, count: int) -> list[Fact]:
    """Facts of whole groups or of images: numbers, sizes, sites, folders, numbers that are not always known."""
    patients, images = groups.max() + 1, len(groups)
    facts = []
    for number in range(count):
        column = [
            lambda: rng.normal(size=patients)[groups] + rng.normal(size=images),
            lambda: rng.choice([256.0, 512.0, 1024.0], patients, p=rng.dirichlet([1, 1, 1]))[groups],
            lambda: np.array([f"site {n}" for n in rng.integers(0, rng.integers(2, 9), patients)])[groups],
            lambda: np.array([f"folder {n}" for n in rng.integers(0, max(3, patients // 4), patients)])[groups],
            lambda: np.where(rng.random(images) < 0.3, np.nan, rng.exponential(size=patients)[groups]),
        ][number % 5]()
        facts.append(Fact(f"fact {number}", FORM, column))
    return facts


def large_classes(labels: Array, classes: int, groups: Array) -> dict[str, Array]:
    """The images of each class with enough groups on both sides; of two classes the first."""
    members = {str(c): labels == c for c in range(classes if classes > 2 else 1)}
    sides = {name: (len(np.unique(groups[m])), len(np.unique(groups[~m]))) for name, m in members.items()}
    return {name: members[name] for name, counts in sides.items() if min(counts) >= LEAST_CASES}


def independent(rng: np.random.Generator, sets: int) -> Iterator[tuple[str, bool]]:
    for _ in range(sets):
        images, classes = int(rng.choice([60, 100, 200, 500, 2000])), int(rng.choice([2, 3, 5, 8]))
        per = int(rng.choice([1, 1, 3, 8]))
        groups = np.unique(
            rng.integers(0, images // per, images) if per > 1 else np.arange(images), return_inverse=True
        )[1]
        shares, by_group = rng.dirichlet(np.full(classes, rng.choice([1.0, 5.0]))), rng.random() < 0.5
        labels = rng.choice(classes, groups.max() + 1, p=shares)[groups]
        labels = labels if by_group else rng.choice(classes, images, p=shares)
        members = large_classes(labels, classes, groups)
        if members:
            yield f"{images} images", bool(separating_facts(independent_facts(rng, groups, 15), members, groups))


def boundary(rng: np.random.Generator, sets: int) -> Iterator[tuple[str, bool]]:
    for number in range(sets):
        cases, others, per = (20, 25, 30, 60)[number % 4], (60, 300)[number // 4 % 2], (1, 4)[number // 8 % 2]
        positive, groups = np.arange(cases + others) < cases, np.repeat(np.arange(cases + others), per)
        shares = np.where(positive, 0.7, 0.3)
        facts = [
            Fact(f"fact {n}", FORM, (rng.random(len(positive)) < shares)[groups].astype(float)) for n in range(10)
        ]
        shortcuts = separating_facts(facts, {"class": positive[groups]}, groups)
        yield f"{cases} cases, {others} others, {per} images each", bool(shortcuts)


def planted(rng: np.random.Generator, sets: int) -> Iterator[tuple[str, bool]]:
    for number in range(sets):
        images, share = (60, 120, 300, 1000)[number % 4], (0.2, 0.5)[number // 4 % 2]
        classes, per = (2, 4)[number // 8 % 2], (1, 3)[number // 16 % 2]
        groups = np.arange(images) // per
        patients = groups.max() + 1
        labels = np.where(rng.random(patients) < share, 0, rng.integers(1, classes, patients))[groups]
        members = large_classes(labels, classes, groups)
        if "0" in members:
            other = rng.random(images) < np.where(labels == 0, 0.9, 0.05)
            width = Fact("width", FORM, np.where(other, rng.integers(500, 900, images), 256).astype(float))
            shortcuts = separating_facts([width, *independent_facts(rng, groups, 14)], members, groups)
            hit = any(shortcut.fact == "width" and shortcut.class_name == "0" for shortcut in shortcuts)
            yield f"{images} images, {share:.0%} of the class, {classes} classes, {per} images of a patient", hit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=500)
    sets = parser.parse_args().sets
    for seed, simulate in enumerate((independent, boundary, planted)):
        hits: dict[str, list[bool]] = defaultdict(list)
        for condition, hit in simulate(np.random.default_rng(seed), sets):
            hits[condition].append(hit)
        total = [hit for of_condition in hits.values() for hit in of_condition]
        print(f"{simulate.__name__}: {sum(total)} of {len(total)}")
        for condition, of_condition in sorted(hits.items()):
            print(f"    {condition:<64} {sum(of_condition)} of {len(of_condition)}")


if __name__ == "__main__":
    main()
