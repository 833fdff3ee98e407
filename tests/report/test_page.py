"""The page: one file that needs nothing, may do nothing, and takes any text as text."""

import base64
import hashlib
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medray.data.load_data import load_data
from medray.report.blocks import Block, Code, Gallery, Matrix, PageHeader, PageSection, Part, Picture, Table, Text
from medray.report.image_album import worst_mistakes
from medray.report.model_predictions import ModelPredictions
from medray.report.page import render
from tests.browser import browser
from tests.report.conftest import ISSUES, Page, draw, read

NASTY = "</script><script>document.title='run'</script><img src=x onerror=document.title='run'> %{x} <b>&amp;"

Drawn = tuple[Path, Page, str]


def rename(value: Any) -> Any:
    """The same JSON with the class `1` named nastily wherever a name may stand."""
    if isinstance(value, dict):
        return {key: rename(own) for key, own in value.items()}
    if isinstance(value, list):
        return [rename(own) for own in value]
    return NASTY if value == "1" else value


@pytest.fixture
def nasty(run: Path) -> Path:
    """A study whose class names, doubted labels, source and description are hostile."""
    for name in ("data.json", "ensemble/manifest.json", "evaluation/read_0001/scores.json"):
        (run / name).write_text(json.dumps(rename(read(run / name))))
    for path in run.glob("crossval/*/summary.json"):
        path.write_text(json.dumps(rename(read(path))))
    (run / "crossval/label_issues.csv").write_text(f'{ISSUES}1,0,train,"{NASTY}",2,0.1,0.9,0.8\n')
    space = (run / "space.yaml").read_text()
    (run / "space.yaml").write_text(space + f"description: {json.dumps(NASTY)}\n")
    return run


def test_the_page_is_one_file_that_may_load_and_send_nothing(drawn: Drawn) -> None:
    run, page, _ = drawn
    size = (run / "report/index.html").stat().st_size
    assert size < 8e6
    assert not [value for value in page.attributes("src") if not value.startswith("data:image/png;base64,")]
    assert not [value for value in page.attributes("href") if not value.startswith(("#", "data:,"))]
    assert not [name for _, own in page.elements for name in own if name.startswith("on")]
    (policy,) = [own["content"] for _, own in page.elements if own.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in page.scripts]
    assert len(hashes) == 2
    assert all(f"'sha256-{own}'" in policy for own in hashes)
    assert "script-src 'unsafe-inline'" not in policy


def test_every_link_leads_somewhere_and_every_figure_has_its_data(drawn: Drawn) -> None:
    _, page, printed = drawn
    ids = page.attributes("id")
    assert len(set(ids)) == len(ids)
    assert {href[1:] for href in page.attributes("href") if href.startswith("#")} <= set(ids)
    assert ids.index("good") < ids.index("trust") < ids.index("searched") < ids.index("repeat")
    charts = [own["id"] for tag, own in page.elements if tag == "figure" and "chart" in own.get("class", "")]
    assert len(charts) >= 9
    assert set(charts) <= set(page.data)
    assert len(page.specs) == len(charts)
    for spec in page.specs:
        go.Figure(spec)  # plotly knows every word of it
    titled = [spec["layout"] for spec in page.specs if spec["data"][0]["type"] != "parcoords"]
    for layout in titled:
        axes = [axis for name, axis in layout.items() if name.startswith("xaxis")]
        assert any(axis["title"].get("text") or axis.get("ticktext") for axis in axes if "title" in axis)
    assert "note:" not in printed
    assert "not for diagnosis" in page.text


def test_the_same_run_gives_the_same_bytes(drawn: Drawn, tmp_path: Path) -> None:
    run, _, _ = drawn
    draw(run, "--out", tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == (run / "report/index.html").read_bytes()


def test_pictures_are_the_doubted_images_themselves(run: Path, npz: Path) -> None:
    rows = "".join(f"{i + 1},{i * 2},train,0,1,0.25,0.75,0.5\n" for i in range(30))
    (run / "crossval/label_issues.csv").write_text(ISSUES + rows)
    page, _ = draw(run)
    pictures = page.attributes("src")
    assert len(pictures) == 24
    assert "24 of 30" in page.text
    images = load_data(str(npz)).images
    for place, uri in enumerate(pictures):
        content = base64.b64decode(uri.partition(",")[2])
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), images[place * 2][..., 0])
    assert page.attributes("alt")[1] == "labelled 0 (0.25), looks like 1 (0.75), image 2 (train)"


def test_hostile_names_are_only_text(nasty: Path) -> None:
    content = (nasty / "report/index.html") if draw(nasty)[0] else None
    assert content is not None
    page = Page(content.read_bytes())
    assert page.text.count(NASTY) >= 5
    assert len(page.scripts) == 2
    assert not [own for tag, own in page.elements if tag == "img" and not own["src"].startswith("data:")]
    assert NASTY in page.data["confusion-test"]["names"]
    names = [trace.get("name", "") for spec in page.specs for trace in spec["data"]]
    assert any("&lt;script&gt;" in name or "&lt;/script&gt;" in name for name in names)
    assert not any("<" in name for name in names)


@settings(max_examples=8)
@given(st.lists(st.text(), min_size=1, max_size=40))
def test_any_text_stays_itself_wherever_it_stands(texts: list[str]) -> None:
    sections = []
    for i, text in enumerate(texts):
        blocks: list[Block] = [
            Text(text, "missing", text), Table(f"{text} {i}", [text], [[text]]), Code("code", text),
            Matrix(f"m{i}", f"matrix {i}", [text, "b"], [[1, 0], [0, 0]]), Gallery(text, [Picture("data:,", [text])]),
        ]  # fmt: skip
        sections.append(PageSection(f"s{i}", text, [], [Part(f"p{i}", text, blocks)]))
    page = Page(render(PageHeader(texts[0], texts[0], [(text, text) for text in texts], []), sections))
    for i, text in enumerate(texts):
        assert page.text.count(text) >= 10
        assert page.data[f"m{i}"]["names"][0] == text
        assert f"{text} {i}" in page.tables
    assert len(page.scripts) == 2


# -- in a browser


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser(tmp_path_factory.mktemp("chromium"), "--enable-unsafe-swiftshader") as driver:
        yield driver


def test_figures_are_drawn_on_any_screen_in_light_and_dark(chrome: Any, nasty: Path) -> None:
    draw(nasty)
    run = chrome.execute_script
    papers: list[str] = []
    for width, scheme in ((360, "light"), (1280, "dark")):
        screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        if not papers:  # the page follows the screen without being opened anew
            chrome.get((nasty / "report/index.html").as_uri())
        end = time.monotonic() + 120
        while run("return document.documentElement.dataset.drawn") != scheme:
            assert time.monotonic() < end, "not drawn"
            time.sleep(0.05)
        undrawn = (
            "return [...document.querySelectorAll('.plot')].filter((p) => !p.querySelector('svg.main-svg')).length"
        )
        assert run(undrawn) == 0
        assert run("return document.documentElement.scrollWidth") <= width
        assert chrome.title == "found: a report by medray"  # no script of a name has run
        papers.append(run("return getComputedStyle(document.querySelector('.main-svg')).backgroundColor"))
    assert papers[0] != papers[1]
    shown = run("return [...document.querySelectorAll('.legendtext')].map((text) => text.textContent)")
    assert any(text.startswith("</script><script>docum") for text in shown), shown
    assert not [line["message"] for line in chrome.get_log("browser") if line["level"] == "SEVERE"]


def test_the_images_got_most_wrong_come_worst_first() -> None:
    probabilities = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.3, 0.7]], dtype=np.float32)
    predictions = ModelPredictions(
        "trial 3", "val", probabilities, np.array([1, 1, 1, 0]), np.array([10, 11, 12, 13])
    )
    found = worst_mistakes(predictions, ["a", "b"])
    assert [position for position, _ in found] == [11, 13, 10]
    assert found[0][1] == ["b (0.10)", "predicted a (0.90)", "image 11"]
