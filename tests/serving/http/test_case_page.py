"""The page of a model that answers cases: images that are added at once are one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medray.ensemble.case_answers import answer_with_weights
from medray.serving.engine.served_model import ServedModel
from medray.serving.engine.service import Service
from medray.serving.engine.service_settings import ServiceSettings
from tests.serving.case_run import RULES, write_case_run
from tests.serving.http.test_page import Page, chrome, open_page, serving  # noqa: F401  (fixtures)
from tests.serving.label_run import shaded

pytestmark = pytest.mark.component


@pytest.fixture(scope="module", params=RULES, ids=lambda rule: rule.answer)
def by_case(request: pytest.FixtureRequest, npz: Path, tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    folder = write_case_run(tmp_path_factory.mktemp("cases") / "films", npz, request.param)
    return ServedModel.load(str(folder), "films")


@pytest.fixture(scope="module")
def films_site(by_case: ServedModel) -> Iterator[str]:
    with serving(Service(ServiceSettings(), by_case)) as address:
        yield address


@pytest.fixture
def page(open_page: Callable[[str], Any], films_site: str) -> Page:  # noqa: F811
    opened: Page = open_page(films_site)
    opened.until(lambda: opened.element("#together").is_displayed())
    return opened


@pytest.fixture
def films(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"<i>film</i> {number}.png".replace("/", "-") for number in range(4)]
    for path, image in zip(paths, shaded(4, seed=3), strict=True):
        Image.fromarray(image[:, :, 0]).save(path)
    return paths


def add(page: Page, *films: Path) -> None:
    page.element("#files").send_keys("\n".join(map(str, films)))
    page.settle()


def test_images_that_are_added_at_once_are_one_case_with_weights(
    page: Page, films: list[Path], by_case: ServedModel
) -> None:
    rule = by_case.ensemble.manifest.cases
    assert rule is not None
    assert f"added at once are one case ({rule.by}): one answer for all" in page.text("#together")
    add(page, *films)
    expected = answer_with_weights(by_case.ensemble, shaded(4, seed=3), np.zeros(4))
    most, label = int(expected.weighed_most[0]), by_case.ensemble.class_names[expected.classes[0]]
    assert page.text("article h2") == "Case of 4 images"
    captions = [" ".join(caption.text.split()) for caption in page.all("article figcaption")]
    for index, caption in enumerate(captions):
        alone = expected.images.probabilities[index, expected.classes[0]]
        assert films[index].name in caption
        assert f"weight {round(100 * expected.weights[index])} %" in caption
        assert f"{label} {alone:.3f} alone" in caption
        assert caption.startswith("Weighed most") == (index == most)
    shown = float(page.text("article .bars li:first-child .number").strip("<>"))
    assert shown == pytest.approx(expected.cases.probabilities.max(), abs=2e-3)
    assert page.text("article dl").count("SHA-256") == 4


def test_the_image_that_weighed_most_is_explained_and_the_picture_goes_away_again(
    page: Page, films: list[Path]
) -> None:
    add(page, *films)
    button = page.element("article .seen button")
    button.click()
    page.until(lambda: page.all("article figure.overlay"))
    figures = page.all("article figure")
    (most,) = [n for n, figure in enumerate(figures) if figure.get_attribute("class") == "most"]
    assert figures[most + 1].get_attribute("class") == "overlay"
    assert len(figures) == 5
    button.click()
    page.until(lambda: not page.all("article figure.overlay"))
    assert len(page.all("article figure.most")) == 1


def test_without_the_mark_each_image_is_answered_alone(page: Page, films: list[Path]) -> None:
    page.element("#as-case").click()
    page.choose(*films)
    assert len(page.all("article")) == 4
    assert not page.all("article figure")
    assert "4 images done, 0 failed." in page.text("#status")


def test_one_image_is_a_case_of_its_own(page: Page, films: list[Path]) -> None:
    add(page, films[0])
    assert page.text("article h2") == films[0].name
    assert "Weighed most" not in page.text("article figcaption")
    assert "weight 100 %" in page.text("article figcaption")


def test_a_narrow_screen_has_room_for_all(page: Page, films: list[Path]) -> None:
    page.command("Emulation.setDeviceMetricsOverride", width=320, height=800, deviceScaleFactor=1, mobile=False)
    add(page, *films)
    assert page.run("return document.documentElement.scrollWidth <= 320")


def test_the_facts_are_of_cases(page: Page, by_case: ServedModel) -> None:
    rule = by_case.ensemble.manifest.cases
    assert rule is not None
    page.element("#about summary").click()
    facts = page.text("#facts")
    assert f"one answer for each {rule.by} ({rule.answer})" in facts
    assert "cases (" in facts
