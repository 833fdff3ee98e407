"""The page in a real browser: what a person can do with it, and what it must never do."""

import asyncio
import contextlib
import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.data.decoding import NOTES
from medray.decisions.conformal import calibrate
from medray.decisions.thresholds import Rule, set_point
from medray.ensemble.calibrate_ensemble import calibrate_selection
from medray.ensemble.candidates import TRIALS, Candidate, Member, Pool
from medray.ensemble.selection import make_selection
from medray.ensemble.write_ensemble import write_ensemble
from medray.runs.run_facts import DataFacts
from medray.runs.rundir import RunDir
from medray.runs.selection_facts import TOP_K
from medray.runs.trial_record import FINISHED, TrialRecord
from medray.serving.engine.served_model import OUT_OF_DISTRIBUTION, ServedModel
from medray.serving.engine.service import Service
from medray.serving.engine.service_settings import ServiceSettings
from medray.serving.http.app import App
from medray.serving.http.pages import POLICY
from tests.browser import browser

pytestmark = pytest.mark.component

LONG = "pneumonoultramicroscopicsilicovolcanoconiosis"
CLASSES = ["<b>x</b> & y", "normal, benign", LONG]
SIDE = 16
TOKEN = "page-token-0123456789"
HTML = (Path(__file__).resolve().parents[3] / "medray/serving/http/index.html").read_text(encoding="utf-8")


# -- what needs no browser


def test_the_page_is_one_file_that_loads_and_runs_nothing_else() -> None:
    assert not re.search(r"https?:|@import|url\(|<iframe|<link(?! rel=\"icon\" href=\"data:,\")|\bimport\b", HTML)
    assert not re.search(r"<(script|img|style)[^>]*\ssrc=", HTML)
    # A policy with 'unsafe-inline' does not stop these; the page must not have them.
    for name in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "srcdoc"):
        assert name not in HTML
    assert not re.search(r"<[^>]*\son[a-z]+=", HTML)
    assert "localStorage" not in HTML


# -- a service and a browser


def write_model(folder: Path) -> Path:
    """An ensemble of two untrained networks, with an operating point and conformal sets."""
    import torch

    from medray.training.models import build_network
    from medray.training.weights import write_weights

    torch.manual_seed(0)
    shape, run, rng = (SIDE, SIDE, 1), RunDir(str(folder)), np.random.default_rng(0)
    labels = np.arange(60) % len(CLASSES)
    probabilities = rng.dirichlet(np.ones(len(CLASSES)), len(labels)).astype(np.float32)
    members = []
    for number, backbone in enumerate(("lenet5", "resnet8_small")):
        config, trial = TrainConfig(backbone=backbone), run.trial(number)
        tensors = build_network(config, shape, len(CLASSES)).state_dict()
        for tensor in tensors.values():
            if tensor.ndim == 2:
                tensor *= 8  # untrained, the networks would find all classes alike
        trial.write_by(trial.WEIGHTS, lambda path, tensors=tensors: write_weights(path, tensors, {}))
        trial.write_json(trial.CONFIG, config.to_dict())
        record = TrialRecord(number, FINISHED, objective=0.5, best_epoch=1)
        members.append(Candidate(number, (Member(record, trial),), probabilities, 0.5))
    selection = make_selection(TOP_K, Pool(TRIALS, members, labels), [(member, 0.5) for member in members])
    selection = calibrate_selection(selection, "val", selection.probabilities, labels, None).selection
    images = np.zeros((len(labels), *shape), dtype=np.uint8)
    data = DataFacts.of(ImageDataset(images, labels, tuple(CLASSES), {}, "test"))
    point = set_point(Rule("sensitivity", 0.95), selection.calibrated, labels, CLASSES, CLASSES[0], "val")
    sets = [calibrate(selection.calibrated, labels, coverage, "lac") for coverage in (0.5, 0.99)]
    write_ensemble(run, selection, data=data, metric="accuracy", points=[point], conformal=sets)
    return folder / "ensemble"


@contextlib.contextmanager
def serving(service: Service) -> Iterator[str]:
    """Serve on a free port of this machine; give the page's address."""
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(App(service), port=0, log_level="error", access_log=False, ws="none", lifespan="off")
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join()
        service.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    return ServedModel.load(str(write_model(tmp_path_factory.mktemp("page"))), "chest")


@pytest.fixture(scope="module")
def site(model: ServedModel) -> Iterator[str]:
    with serving(Service(ServiceSettings(), model)) as address:
        yield address


@pytest.fixture(scope="module")
def guarded_site(model: ServedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    file = tmp_path_factory.mktemp("tokens") / "tokens.txt"
    file.touch(0o600)
    file.write_text(f"reader {TOKEN}\n")
    with serving(Service(ServiceSettings(token_file=str(file)), model)) as address:
        yield address


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    profile = tmp_path_factory.mktemp("chromium")
    with browser(profile, "--window-size=1280,900", performance="ALL") as driver:
        driver.get("data:,")
        for kind in driver.log_types:
            driver.get_log(kind)  # what the browser's own first page asked for
        yield driver


class Page:
    """The page as a person has it: what can be seen of it, and what can be done."""

    def __init__(self, chrome: Any, address: str) -> None:
        self.chrome, self.address = chrome, address
        self.statuses: set[int] = set()  # of the service's answers, that the test brings about
        self.offline = False
        chrome.get(address)

    def run(self, script: str, *given: Any) -> Any:
        return self.chrome.execute_script(script, *given)

    def command(self, name: str, **options: Any) -> None:
        self.chrome.execute_cdp_cmd(name, options)

    def all(self, selector: str) -> list[Any]:
        return list(self.chrome.find_elements("css selector", selector))

    def element(self, selector: str) -> Any:
        (match,) = self.all(selector)
        return match

    def text(self, selector: str) -> str:
        """The text that is shown, with plain spaces."""
        return " ".join(self.element(selector).text.split())

    def until(self, met: Callable[[], Any], seconds: float = 10) -> Any:
        """Wait for a state of the page; what is looked at may be replaced meanwhile."""
        from selenium.common.exceptions import StaleElementReferenceException

        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(StaleElementReferenceException, ValueError):
                if value := met():
                    return value
            assert time.monotonic() < end, self.text("body")
            time.sleep(0.02)

    def choose(self, *files: Path, answered: bool = True) -> None:
        """Choose files, as the picker would; wait until all are answered."""
        before = len(self.all("article"))
        self.element("#files").send_keys("\n".join(map(str, files)))
        self.until(lambda: len(self.all("article")) == before + len(files))
        if answered:
            self.settle()

    def settle(self) -> None:
        self.until(lambda: self.all("article") and not self.all("article[aria-busy=true]"))

    def keys(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.chrome).send_keys(*keys).perform()

    def focused(self) -> str:
        return str(self.run("return document.activeElement.id || document.activeElement.innerText"))

    def answer_with(self, changes: dict[str, Any]) -> None:
        """Let every answer to come be changed by this."""
        self.run(
            """const [changes] = arguments, real = window.fetch;
            window.fetch = async (...asked) => {
              const reply = await real(...asked);
              if (!asked[0].startsWith("predict")) return reply;
              const content = await reply.json();
              Object.assign(content.predictions[0], changes);
              return new Response(JSON.stringify(content), { status: 200 });
            };""",
            changes,
        )

    def check_quiet(self) -> None:
        """Nothing was asked of anybody else, and the console holds only what the test brought about."""
        allowed = [f"the server responded with a status of {status} " for status in self.statuses]
        allowed += ["net::ERR_INTERNET_DISCONNECTED"] if self.offline else []
        lines = [line["message"] for line in self.chrome.get_log("browser")]
        assert not [line for line in lines if not any(words in line for words in allowed)]
        for entry in self.chrome.get_log("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                url = event["params"]["request"]["url"]
                assert url.startswith((self.address, f"blob:{self.address}", "data:")), url


@pytest.fixture
def open_page(chrome: Any) -> Iterator[Callable[[str], Page]]:
    """Open a page; at the end it must have been quiet, and the browser's settings are put back."""
    opened: list[Page] = []

    def visit(address: str) -> Page:
        opened.append(Page(chrome, address))
        return opened[-1]

    yield visit
    for page in opened:
        page.check_quiet()
        page.command("Emulation.setEmulatedMedia", media="", features=[])
        page.command("Emulation.clearDeviceMetricsOverride")


@pytest.fixture
def page(open_page: Callable[[str], Page], site: str) -> Page:
    return open_page(site)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three images that the model takes as they are."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(1)
    paths = [folder / name for name in ("one.png", "two <i>&amp;.png", f"{LONG}_{LONG}.png")]
    for path in paths:
        path.write_bytes(png(rng.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)))
    return paths


def png(pixels: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    path = tmp_path / "notes.txt"
    path.write_text("no image")
    return path


# -- asking


def test_the_page_comes_with_its_policy(page: Page) -> None:
    policy = page.run("return fetch('').then((reply) => reply.headers.get('content-security-policy'))")
    assert policy == POLICY
    assert page.run("return document.compatMode") == "CSS1Compat"
    page.until(lambda: page.chrome.title == "chest – medray")
    assert page.text("#use") == "Research; not for diagnosis"


def test_what_it_is_for_is_said_by_the_model_and_before_it_is_known(page: Page, images: list[Path]) -> None:
    assert re.search(r'<p id="use">Research; not for diagnosis</p>', HTML)
    page.run(
        """const real = window.fetch;
        window.fetch = async (...asked) => {
          const reply = await real(...asked);
          if (asked[0] !== "metadata") return reply;
          return new Response((await reply.text()).replace("research; not for diagnosis", "<b>teaching</b> only"));
        };
        learn();"""
    )
    page.until(lambda: page.text("#use") == "<b>teaching</b> only")
    page.choose(images[0])
    assert page.text(".origin").startswith("<b>teaching</b> only Model ")


def test_a_chosen_image_is_answered(page: Page, images: list[Path], model: ServedModel) -> None:
    page.choose(images[0])
    pixels = np.array(Image.open(images[0]))
    (answer,) = model.classify(pixels[None, ..., None])
    assert page.text("article h2") == "one.png"
    shown = page.text(".label")
    assert shown == f"{answer.label} {answer.probabilities[answer.label]:.3f}"
    bars = [(bar.find_element("css selector", ".name").text, bar.find_element("css selector", ".number").text)
            for bar in page.all(".bars li")]  # fmt: skip
    ranked = sorted(answer.probabilities.items(), key=lambda pair: -pair[1])
    assert bars == [(name, f"{p:.3f}") for name, p in ranked]
    widths = page.run("return [...document.querySelectorAll('.bar i')].map((i) => parseFloat(i.style.width))")
    assert widths == pytest.approx([100 * p for _, p in ranked], abs=1e-3)
    (decision,) = answer.decisions
    word = "positive" if decision.positive else "negative"
    lines = [" ".join(line.text.split()) for line in page.all(".said li")]
    assert re.fullmatch(rf"sensitivity 0\.95: {re.escape(CLASSES[0])} — {word} \(threshold 0\.\d+\)", lines[0])
    assert lines[2] == "With 99 % coverage: not sure, every class is possible"
    inside = " or ".join(name for name, _ in ranked if name in answer.sets[0].classes)
    assert lines[1] == f"With 50 % coverage: {inside}"
    origin = page.text(".origin")
    assert origin.startswith(f"Research; not for diagnosis Model chest, version {model.version} Request id ")
    assert re.search(r"Request id [0-9a-f]{32} Image PNG, 16 × 16 pixels SHA-256 [0-9a-f]{64}$", origin)
    assert not page.all(".warning")
    assert "done to the image" not in page.text("article")


def test_a_preview_or_why_there_is_none(page: Page, images: list[Path], tmp_path: Path) -> None:
    tiff = tmp_path / "scan.tiff"
    Image.open(images[0]).save(tiff)
    page.run("window.freed = []; URL.revokeObjectURL = (url) => { window.freed.push(url); };")
    page.choose(images[0], tiff)
    page.until(lambda: page.run("return document.querySelector('.frame img').naturalWidth") == SIDE)
    assert page.run("return getComputedStyle(document.querySelector('.frame img')).imageRendering") == "pixelated"
    page.until(lambda: page.text("article:nth-child(2) .frame") == "No preview of scan.tiff in a browser")
    assert len(set(page.run("return freed"))) == 2  # else every image stays in memory
    assert len(page.all(".label")) == 2


def test_more_images_while_others_wait(page: Page, images: list[Path]) -> None:
    page.run(
        """const real = window.fetch;
        const gate = new Promise((resolve) => { window.release = resolve; });
        window.asked = 0;
        window.fetch = async (...given) => {
          if (given[0] === "metadata") return real(...given);
          window.asked += 1;
          await gate;
          return real(...given);
        };"""
    )
    page.choose(*images, answered=False)
    assert [len(page.all("article[aria-busy=true] .wait")), page.text("#status")] == [3, "0 of 3 images done."]
    page.choose(images[0], images[1], answered=False)
    assert page.text("#status") == "0 of 5 images done."
    page.until(lambda: page.run("return asked") == 4)  # the fifth waits for its turn
    page.run("release()")
    page.settle()
    assert page.text("#status").startswith("5 images done, 0 failed. ")
    # The newest stand first, each lot in its own order; a lot's names are not mixed up with its answers.
    assert [title.text for title in page.all("article h2")] == [p.name for p in [*images[:2], *images]]
    hashes = [line.text for line in page.all(".origin dd:last-child")]
    assert hashes[:2] == hashes[2:4]
    assert len(set(hashes)) == 3
    page.element("#clear").click()
    assert not page.all("article")
    assert page.focused() == "choose"


DROP = """
const [bytes, kind] = arguments, transfer = new DataTransfer();
if (bytes) transfer.items.add(new File([new Uint8Array(bytes)], "given.png", { type: "image/png" }));
const event = kind === "paste"
  ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true })
  : new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true });
document.getElementById("choose").dispatchEvent(event);
return event.defaultPrevented;
"""


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_dropped_or_pasted_image_is_answered(page: Page, images: list[Path], kind: str) -> None:
    content = list(images[0].read_bytes())
    if kind == "drop":
        assert page.run(DROP, content, "dragover")
        assert page.all("body.dragging")
    assert page.run(DROP, content, kind)
    assert not page.all("body.dragging")
    page.settle()
    assert page.text("article h2") == "given.png"
    assert len(page.all(".bars li")) == len(CLASSES)
    assert page.run(DROP, None, kind) == (
        kind == "drop"
    )  # text can be pasted elsewhere; a link must not be opened
    if kind == "drop":
        assert page.text("#status").endswith("There was no file in it.")


def test_an_explanation_can_be_shown_and_hidden(page: Page, images: list[Path]) -> None:
    page.choose(images[0])
    (button,) = page.all(".seen button")
    assert button.text == "Show what it looked at"
    button.click()
    page.until(lambda: page.run("return document.querySelectorAll('.frame img')[1]?.naturalWidth > 0"))
    label = page.text(".label .name")
    assert page.element(".frame:nth-child(2) img").get_attribute("src").startswith("data:image/png;base64,")
    assert (
        page.text(".seen p")
        == f"The warmer a place, the more it spoke for {label}. The answer may still be wrong."
    )
    assert button.text == "Hide what it looked at"
    button.click()
    assert len(page.all(".frame")) == 1
    assert page.text(".seen p") == ""


def test_networks_that_cannot_be_explained(page: Page, images: list[Path]) -> None:
    page.choose(images[0])
    page.run(
        """const problem = { type: "urn:medray:problem:not-explainable", title: "These networks can't be explained",
          status: 422, detail: "they have no feature maps", request_id: "r-1" };
        window.fetch = async (path) => new Response(JSON.stringify(problem), { status: 422 });"""
    )
    page.element(".seen button").click()
    text = page.until(lambda: page.all(".seen .problem"))[0].text
    assert text == "These networks can't be explained\nThey have no feature maps\nRequest id r-1"
    assert not page.element(".seen button").is_displayed()
    assert page.all(".label")  # the answer stays


# -- what goes wrong


def test_a_problem_is_shown_and_can_be_tried_again(page: Page, text_file: Path) -> None:
    page.statuses = {415}
    page.choose(text_file)
    first = page.text(".problem")
    pattern = (
        r"Not a format that can be read The content is not an image .*: png, jpeg, tiff, bmp, dicom "
        r"Request id [0-9a-f]{32} Try again"
    )
    assert re.fullmatch(pattern, first)
    assert page.text("#status") == "notes.txt: Not a format that can be read."
    assert not page.element(".seen button").is_displayed()
    page.element(".problem button").click()
    page.until(lambda: page.all(".problem") and page.text(".problem") != first)
    assert re.fullmatch(pattern, page.text(".problem"))
    assert page.run("return document.activeElement.tagName") == "ARTICLE"  # not lost with the button


def test_no_network(page: Page, images: list[Path]) -> None:
    page.offline = True
    network = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.command("Network.emulateNetworkConditions", offline=True, **network)
    try:
        page.choose(images[0])
        text = "The service can't be reached Nothing answers, or the connection broke. Try again"
        assert page.text(".problem") == text
    finally:
        page.command("Network.emulateNetworkConditions", offline=False, **network)
    page.element(".problem button").click()
    page.until(lambda: page.all(".label"))


def test_a_proxy_that_answers_in_the_place_of_the_service(page: Page, images: list[Path]) -> None:
    page.run(
        """const told = { status: 502, statusText: "Bad Gateway" };
        window.fetch = async () => new Response("<html>nginx", told);"""
    )
    page.choose(images[0])
    assert (
        page.text(".problem")
        == "The service did not answer as it should The answer was: 502 Bad Gateway Try again"
    )


def test_a_file_that_has_gone(page: Page, tmp_path: Path, images: list[Path]) -> None:
    page.run("window.slice = Blob.prototype.slice; Blob.prototype.slice = () => { throw new DOMException(); }")
    page.choose(images[0])
    assert page.text(".problem strong") == "The file can't be read"


def test_a_token_is_asked_for(open_page: Callable[[str], Page], guarded_site: str, images: list[Path]) -> None:
    page = open_page(guarded_site)
    page.statuses = {401}
    page.until(lambda: page.element("#gate").is_displayed())
    assert page.focused() == "token"
    assert page.element("#token").get_attribute("type") == "password"
    page.choose(images[0], answered=False)
    page.keys("two words\n")
    assert page.text("#gate-note") == "A token is one word of letters, digits and signs."
    page.run("document.getElementById('token').value = ''")
    page.keys("not-the-token\n")
    page.until(lambda: page.text("#gate-note") == "The service did not accept that token.")
    assert page.focused() == "token"
    page.keys(f"{TOKEN}\n")
    page.settle()
    assert len(page.all(".bars li")) == len(CLASSES)
    assert not page.element("#gate").is_displayed()
    assert page.focused() == "choose"
    page.until(lambda: page.text("#model").startswith("Model chest"))
    kept = page.run("return [document.cookie, localStorage.length, location.href, document.body.outerHTML].join()")
    assert TOKEN not in kept


# -- answers in words


def test_names_are_text_and_never_markup(page: Page, images: list[Path]) -> None:
    page.choose(images[1])
    assert page.text("article h2") == "two <i>&amp;.png"
    page.run("document.getElementById('about').open = true")
    for name in CLASSES:
        assert page.run("return document.body.innerText").count(name) >= 2
    assert not page.all("article b:not(.bar b)")
    assert not page.all("article i:not(.bar i)")


def test_every_note_has_words(page: Page) -> None:
    assert set(page.run("return Object.keys(NOTES)")) == set(NOTES)
    assert page.run("return OUT") == OUT_OF_DISTRIBUTION


def test_notes_and_a_warning(page: Page, images: list[Path]) -> None:
    flags = [OUT_OF_DISTRIBUTION, "resized", "stretched", "<b>new</b>", "toString"]
    page.answer_with({"flags": flags, "ood": {"score": 4.8123, "threshold": 1.42}})
    page.choose(images[0])
    doubt = "This does not look like the images the model was trained on."
    assert page.text(".warning") == (
        f"{doubt} What follows may mean nothing. Its out-of-distribution score is 4.81; up to 1.42 is usual."
    )
    assert [note.text for note in page.all(".notes li")] == [
        "It was resized to what the model takes.",
        "It was stretched: the ratio of its width to its height changed.",
        "<b>new</b>",
        "toString",
    ]
    assert page.text("#status").endswith(doubt)
    assert page.element("#status").get_attribute("role") == "status"
    first, *_ = page.all(".told > *")
    assert first.get_attribute("class") == "warning"


def test_a_real_image_that_was_changed(page: Page, tmp_path: Path) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (40, 90, 4), dtype=np.uint8)
    (tmp_path / "a.png").write_bytes(png(pixels))
    page.choose(tmp_path / "a.png")
    text = page.run("return [NOTES.alpha_dropped, NOTES.greyscaled, NOTES.resized, NOTES.stretched]")
    assert [note.text for note in page.all(".notes li")] == text


def test_sets_and_decisions_in_words(page: Page, images: list[Path]) -> None:
    first, second, third = CLASSES
    points = {"youden": (first, 0.3, 0.30004), "cost 5": (second, 0.69998, 1.0000000000000002),
              "sensitivity 0.9": (third, 0.00002, 0.0)}  # fmt: skip
    decisions = [
        {"operating_point": name, "event": event, "class": event, "probability": p, "threshold": threshold,
         "positive": p >= threshold}
        for name, (event, p, threshold) in points.items()
    ]  # fmt: skip
    sets = [{"coverage": 0.9, "classes": [second]}, {"coverage": 0.995, "classes": [first, second]}]
    probabilities = {first: 0.3, second: 0.69998, third: 0.00002}
    page.answer_with({"label": second, "probabilities": probabilities, "decisions": decisions, "sets": sets})
    page.choose(images[0])
    assert [" ".join(line.text.split()) for line in page.all(".said li")] == [
        f"youden: {first} — negative (threshold 0.30004)",  # enough digits to tell it from 0.3
        f"cost 5: {second} — negative (threshold above 1)",
        f"sensitivity 0.9: {third} — positive (threshold 0.00000)",
        f"With 90 % coverage: {second}",
        f"With 99.5 % coverage: {second} or {first}",  # the likelier first
    ]
    assert [number.text for number in page.all(".bars .number")] == ["0.700", "0.300", "<0.001"]
    assert len(page.all(".bar b")) == 2  # none for a threshold that nothing reaches


def test_a_cut_and_an_interval_of_grades_in_words(page: Page, images: list[Path]) -> None:
    first, second, third = CLASSES
    event = f"{second} or more"
    decision = {
        "operating_point": "cost 5", "event": event, "class": second, "probability": 0.7, "threshold": 0.4, "positive": True,
    }  # fmt: skip
    sets = [{"coverage": 0.9, "classes": [first, second]}, {"coverage": 0.95, "classes": [first, second, third]}]
    probabilities = {first: 0.3, second: 0.4, third: 0.2, "fourth": 0.1}
    page.run("ordered = true")
    page.answer_with({"label": second, "probabilities": probabilities, "decisions": [decision], "sets": sets})
    page.choose(images[0])
    assert [" ".join(line.text.split()) for line in page.all(".said li")] == [
        f"cost 5: {event} — positive (threshold 0.400)",
        f"With 90 % coverage: {first} or {second}",
        f"With 95 % coverage: {first} to {third}",
    ]
    assert not page.all(".bar b")  # no bar shows the probability of several grades


def test_several_labels_are_called_each_at_its_threshold(page: Page, images: list[Path]) -> None:
    first, second, third = CLASSES
    probabilities = {first: 0.3, second: 0.9, third: 0.2, "fourth": 0.1}

    def point(name: str, event: str, threshold: float) -> dict[str, Any]:
        p = probabilities[event]
        return {"operating_point": name, "event": event, "class": event, "probability": p, "threshold": threshold,
                "positive": p >= threshold}  # fmt: skip

    decisions = [point("sensitivity 0.9", first, 0.25), point("youden", first, 0.4), point("sensitivity 0.9", third, 0.5),
                 point("youden", third, 0.15)]  # fmt: skip
    sets = [
        {"coverage": 0.9, "present": [second], "absent": ["fourth"], "not_sure": [first, third]},
        {"coverage": 0.95, "present": [], "absent": [], "not_sure": list(probabilities)},
        {"coverage": 0.5, "present": [], "absent": list(probabilities), "not_sure": []},
    ]
    page.answer_with({
        "labels": [first, second], "probabilities": probabilities, "decisions": decisions, "sets": sets,
        "overlay_label": second,
    })  # fmt: skip
    page.choose(images[0])
    assert page.text(".label") == f"{second}, {first}"
    assert page.text("#status") == f"one.png: {second}, {first}."
    assert [" ".join(line.text.split()) for line in page.all(".said li")] == [
        f"youden: {third} called",
        f"With 90 % coverage of each label: {second}; not sure of {first}, {third}; not the other 1",
        "With 95 % coverage of each label: not sure of any label",
        "With 50 % coverage of each label: not any of the 4",
    ]
    assert [" ".join(line.text.split()) for line in page.all(".bars li")] == [
        f"{second} 0.900 called from 0.500",  # it has no operating point
        f"{first} 0.300 called from 0.250",
        f"{third} 0.200 not called from 0.500",
        "fourth 0.100 not called from 0.500",
    ]
    marks = page.run(
        "return [...document.querySelectorAll('.bar')].map((bar) => bar.querySelector('b').style.left)"
    )
    assert marks == ["50%", "25%", "50%", "50%"]
    assert page.element(".seen select").get_attribute("value") == second
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")


def test_no_label_may_be_called(page: Page, images: list[Path]) -> None:
    page.answer_with({"labels": [], "probabilities": dict.fromkeys(CLASSES, 0.1), "decisions": [], "sets": []})
    page.choose(images[0])
    assert page.text(".label") == "none"
    assert page.text("#status") == "one.png: no label called."
    assert not page.all(".bars .top")


def test_the_label_that_is_chosen_is_explained(page: Page, images: list[Path]) -> None:
    first, second, third = CLASSES
    page.answer_with({"labels": [first], "probabilities": {first: 0.9, second: 0.2, third: 0.1}, "sets": []})
    page.run(
        """const real = window.fetch;
        window.asked = [];
        window.fetch = (...asked) => { window.asked.push(asked[0]); return real(...asked); };"""
    )
    page.choose(images[0])
    page.element(".seen button").click()
    page.until(lambda: len(page.all(".figures img")) == 2)
    page.run("const s = document.querySelector('.seen select'); s.value = arguments[0]; s.onchange();", second)
    page.until(lambda: len(page.run("return window.asked")) == 3 and len(page.all(".figures img")) == 2)
    from urllib.parse import quote

    asked = page.run("return window.asked")
    assert asked == [
        "predict",
        *(f"predict?explain=true&label={quote(name, safe='')}" for name in (first, second)),
    ]


def test_another_version_is_noticed(page: Page, images: list[Path], model: ServedModel) -> None:
    known = f"Model chest, version {model.version}"
    page.until(lambda: page.text("#model") == known)
    page.run("version = 'older'; document.getElementById('model').textContent = ''")
    page.choose(images[0])
    page.until(lambda: page.text("#model") == known)


def test_what_the_model_is(page: Page) -> None:
    assert not page.element("#facts").is_displayed()
    page.element("#about summary").click()
    shown = page.until(lambda: page.text("#facts"))
    assert " ".join(CLASSES) in shown
    assert "Members 2 (1 × lenet5, 1 × resnet8_small)" in shown
    assert re.search(r"Score accuracy 0\.\d{3} on 60 images \(val\)", shown)
    assert re.search(
        r"Sensitivity 0\.95 .* nothing is promised; sensitivity \d\.\d{3}, specificity \d\.\d{3}, on", shown
    )


# -- for everybody


def test_the_keyboard_is_enough(page: Page, images: list[Path]) -> None:
    from selenium.webdriver.common.keys import Keys

    page.run(
        """window.clicks = 0;
        document.getElementById("files").addEventListener("click", (event) => {
          window.clicks += 1;
          event.preventDefault(); // no picker in a test
        });"""
    )
    page.keys(Keys.TAB)
    assert page.focused() == "choose"
    assert page.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keys(Keys.ENTER)
    page.keys(Keys.SPACE)
    assert page.run("return clicks") == 2
    page.choose(images[0])
    for name in ("clear", "Show what it looked at", "About this model", "How programs ask, in a new tab"):
        page.keys(Keys.TAB)
        assert page.focused() == name
        if name.startswith("Show"):
            page.keys(Keys.ENTER)
            page.until(lambda: page.focused() == "Hide what it looked at")  # the focus stays where it was
            assert len(page.all(".frame img")) == 2


def test_a_narrow_screen(page: Page, images: list[Path], text_file: Path) -> None:
    page.statuses = {415}
    page.command("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=2, mobile=True)
    page.answer_with({"flags": [OUT_OF_DISTRIBUTION, "a_flag_" * 20], "file": None})
    page.choose(images[2])
    page.element(".seen button").click()
    page.until(lambda: len(page.all(".frame")) == 2)
    page.run("document.getElementById('about').open = true; document.getElementById('gate').hidden = false")
    assert page.run("return [document.documentElement.scrollWidth, innerWidth]") == [360, 360]
    outside = page.run(
        "return [...document.querySelectorAll('main *')].filter((e) => e.getBoundingClientRect().right > 360).length"
    )
    assert outside == 0
    sizes = page.run(
        """return [...document.querySelectorAll("button, input, summary, a")].filter((e) => e.offsetParent)
          .map((e) => [e.innerText, Math.min(e.offsetWidth, e.offsetHeight)]);"""
    )
    assert len(sizes) >= 6
    assert not [size for size in sizes if size[1] < 44]


CONTRAST = r"""
function parts(colour) { return colour.match(/[\d.]+/g).map(Number); }
function luminance(colour) {
  const [r, g, b] = parts(colour).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function ground(element) {
  for (let own = element; own; own = own.parentElement) {
    const colour = getComputedStyle(own).backgroundColor;
    if ((parts(colour)[3] ?? 1) === 1) return colour;
  }
  return "rgb(255, 255, 255)";
}
const found = {};
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!own || !element.offsetParent || ["SCRIPT", "STYLE"].includes(element.tagName)) continue;
  const pair = [luminance(getComputedStyle(element).color), luminance(ground(element))].sort((a, b) => b - a);
  const name = `${element.tagName.toLowerCase()}.${element.className} in .${element.parentElement.className}`;
  found[name] = Math.min(found[name] ?? 99, (pair[0] + 0.05) / (pair[1] + 0.05));
}
return found;
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(page: Page, images: list[Path], text_file: Path, scheme: str) -> None:
    """At least 4.5 to 1 (WCAG 2.2, 1.4.3) for all text that is shown."""
    page.statuses = {415}
    page.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    page.choose(text_file)
    page.answer_with({
        "flags": [OUT_OF_DISTRIBUTION, "resized"],
        "decisions": [
            {"operating_point": "a", "event": CLASSES[0], "class": CLASSES[0], "probability": 0.2, "threshold": 0.1,
             "positive": yes}
            for yes in (0, 1)
        ],
    })  # fmt: skip
    page.choose(images[0])
    page.run(
        """document.getElementById("about").open = true;
        document.getElementById("gate").hidden = false;
        document.getElementById("gate-note").textContent = "wrong";"""
    )
    contrasts = page.run(CONTRAST)
    for part in ("strong. in .warning", "span.name in .label", "span.number in .label", "span.number in .", "h1. in .",
                 "span.name in .", "strong. in .problem", "strong.yes in .", "strong.no in ."):  # fmt: skip
        assert part in contrasts, (part, contrasts)
    assert not {name: ratio for name, ratio in contrasts.items() if ratio < 4.5}
    dark = page.run("return getComputedStyle(document.body).backgroundColor") == "rgb(18, 21, 23)"
    assert dark == (scheme == "dark")


def test_less_motion_and_paper(page: Page, images: list[Path]) -> None:
    page.run(
        "const real = window.fetch; window.fetch = (...a) => a[0] === 'metadata' ? real(...a) : new Promise(() => {})"
    )
    page.choose(images[0], answered=False)
    moving = "return getComputedStyle(document.querySelector('.wait'), '::after').animationName"
    assert page.run(moving) == "along"
    page.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    assert page.run(moving) == "none"
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    page.command("Emulation.setEmulatedMedia", media="print", features=[dark])
    assert not page.element("#choose").is_displayed()
    assert page.element("#use").is_displayed()
    assert page.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
