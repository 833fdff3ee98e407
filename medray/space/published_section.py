"""The section `published`: what a report says of the baselines."""

from collections.abc import Collection, Mapping
from typing import Any

from medray.config import Setting
from medray.errors import unknown_choice_line
from medray.space.published import FIGURES, FOLDS, OF_POSITIVE, SPLITS, Figure, Published, PublishedModel
from medray.space.yaml_fields import Checks

TEXT = Setting(str)
AVERAGE = "average_of"


class PublishedReader(Checks):
    """Reads the section `published`."""

    WORDS = ("report", "data", "source", "positive", "note")
    PUBLISHED = (*WORDS, "images", "figures")
    COUNTED = ("train", "val", "test")

    def _published(self, baselines: Collection[str]) -> Published | None:
        if self.root.get("published") is None:
            return None
        section = self._section("published")
        self._known_keys("published", section, self.PUBLISHED, needed=("report", "data"))
        words = {key: self._words(key, section[key]) for key in self.WORDS if key in section}
        return Published(
            report=words["report"],
            data=words["data"],
            source=words.get("source"),
            images=self._images(self._part(section, "images")),
            positive=words.get("positive"),
            note=words.get("note"),
            models=tuple(
                self._model(str(name), value, baselines, "positive" in words)
                for name, value in self._part(section, "figures").items()
            ),
        )

    def _words(self, key: str, value: object) -> str:
        text = str(self._check(f"published.{key}", TEXT, value))
        if not text.strip():
            raise self.fail(f"published.{key}", "is empty")
        return " ".join(text.split())

    def _part(self, section: Mapping[str, Any], key: str) -> dict[str, Any]:
        return self._mapping(f"published.{key}", section[key]) if key in section else {}

    def _images(self, section: dict[str, Any]) -> dict[str, int]:
        self._known_keys("published.images", section, self.COUNTED)
        count = Setting(int, low=1)
        return {split: self._check(f"published.images.{split}", count, n) for split, n in section.items()}

    def _model(self, name: str, value: object, baselines: Collection[str], positive: bool) -> PublishedModel:
        key = f"published.figures.{name}"
        section = self._mapping(key, value)
        self._known_keys(key, section, (AVERAGE, *SPLITS))
        average_of = self._average_of(key, section[AVERAGE], baselines) if AVERAGE in section else ()
        if not average_of and name not in baselines:
            what = unknown_choice_line("baseline", name, baselines)
            raise self.fail(key, f"{what}; a mean of several baselines needs {AVERAGE}")
        if average_of and name in baselines:
            raise self.fail(key, f"'{name}' is a baseline: a mean of several needs a name of its own")
        splits = {
            split: self._figures(f"{key}.{split}", split, section[split], positive)
            for split in SPLITS
            if split in section
        }
        if not splits:
            raise self.fail(key, f"has no figures: it needs one of {', '.join(SPLITS)}")
        return PublishedModel(name, average_of, splits)

    def _average_of(self, key: str, value: object, baselines: Collection[str]) -> tuple[str, ...]:
        key = f"{key}.{AVERAGE}"
        if not isinstance(value, list) or len(value) < 2:
            raise self.fail(key, "must be a list of at least two baselines")
        names = tuple(map(str, value))
        for name in names:
            if name not in baselines:
                raise self.fail(key, unknown_choice_line("baseline", name, baselines))
        if len(set(names)) < len(names):
            raise self.fail(key, "names a baseline twice")
        return names

    def _figures(self, key: str, split: str, value: object, positive: bool) -> dict[str, Figure]:
        section = self._mapping(key, value)
        if not section:
            raise self.fail(key, "has no figures")
        for metric in section:
            if metric not in FIGURES:
                raise self.fail(f"{key}.{metric}", unknown_choice_line("metric", metric, FIGURES))
            if metric in OF_POSITIVE and not positive:
                raise self.fail(f"{key}.{metric}", "needs published.positive, the class that it is of")
        return {metric: self._figure(f"{key}.{metric}", split, metric, own) for metric, own in section.items()}

    def _figure(self, key: str, split: str, metric: str, value: object) -> Figure:
        """A number, or over folds also {mean, sd}."""
        if split != FOLDS or not isinstance(value, dict):
            return Figure(self._check(key, FIGURES[metric], value))
        self._known_keys(key, value, ("mean", "sd"), needed=("mean", "sd"))
        mean = self._check(f"{key}.mean", FIGURES[metric], value["mean"])
        return Figure(mean, self._check(f"{key}.sd", Setting(float, low=0.0), value["sd"]))
