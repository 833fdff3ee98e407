"""Metrics: the page can be parsed, replicas add up exactly, and no counter ever goes down."""

import json
import logging
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from medray.errors import DataError, RunError
from medray.serving.telemetry import CONTENT_TYPE, OTHER, SPECS, Board, Telemetry, counting, render, totals
from medray.serving.telemetry.metrics import SECONDS
from medray.serving.telemetry.totals import KEPT

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(page: bytes) -> Samples:
    """Every sample of a page by its name and labels."""
    found: Samples = {}
    for family in text_string_to_metric_families(page.decode("utf-8")):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def value(page: bytes, name: str, /, **labels: str) -> float:
    return samples(page)[f"medray_{name}", frozenset(labels.items())]


def page_of(*replicas: Telemetry) -> bytes:
    return render(json.loads(json.dumps([replica.snapshot() for replica in replicas])))


def busy() -> Telemetry:
    own = Telemetry()
    own.request("/predict", "POST", 200, 0.02)
    own.predicted("nodule", 0.93, ["resized"])
    own.batch(3)
    own.refused("missing")
    own.problem("timeout")
    own.queued(4)
    own.entered()
    own.model("organs", "1")
    return own


# -- the page


def test_every_metric_has_its_type_and_help() -> None:
    families = {family.name: family for family in text_string_to_metric_families(page_of(busy()).decode())}
    types = {name: family.type for name, family in families.items()}
    assert types == {
        "medray_requests": "counter", "medray_errors": "counter", "medray_request_seconds": "histogram",
        "medray_batch_images": "histogram", "medray_predictions": "counter", "medray_confidence": "histogram",
        "medray_flags": "counter", "medray_refusals": "counter", "medray_queued_images": "gauge",
        "medray_in_flight": "gauge", "medray_model_info": "gauge",
    }  # fmt: skip
    assert all(family.documentation.endswith(".") and family.samples for family in families.values())
    lines = page_of(busy()).decode().splitlines()
    for name, spec in SPECS.items():
        kind = spec.kind.__name__.lower()
        assert lines.count(f"# TYPE {name} {kind}") == 1
        assert sum(line.startswith(f"# HELP {name} ") for line in lines) == 1
    assert CONTENT_TYPE == "text/plain; version=0.0.4; charset=utf-8"


def test_everything_is_counted_where_it_belongs() -> None:
    page = page_of(busy())
    assert value(page, "requests_total", route="/predict", method="POST", status="200") == 1
    assert value(page, "errors_total", problem="timeout") == 1
    assert value(page, "request_seconds_bucket", route="/predict", le="0.01") == 0
    assert value(page, "request_seconds_bucket", route="/predict", le="0.025") == 1
    assert value(page, "request_seconds_count", route="/predict") == 1
    assert value(page, "request_seconds_sum", route="/predict") == 0.02
    assert value(page, "batch_images_bucket", le="2.0") == 0
    assert value(page, "batch_images_bucket", le="4.0") == 1
    assert value(page, "batch_images_sum") == 3
    assert value(page, "predictions_total", **{"class": "nodule"}) == 1
    assert value(page, "confidence_bucket", le="0.9") == 0
    assert value(page, "confidence_bucket", le="1.0") == 1
    assert value(page, "flags_total", flag="resized") == 1
    assert value(page, "refusals_total", reason="missing") == 1
    assert value(page, "queued_images") == 4
    assert value(page, "in_flight") == 1
    assert value(page, "model_info", name="organs", version="1") == 1


def test_bounds_are_those_that_were_asked_for() -> None:
    bounds: dict[str, list[float]] = {}
    for name, labels in samples(page_of(busy())):
        if name.endswith("_bucket"):
            bounds.setdefault(name, []).append(float(dict(labels)["le"]))
    assert bounds["medray_request_seconds_bucket"][0] == 0.001
    assert bounds["medray_request_seconds_bucket"][-2:] == [30.0, math.inf]
    assert bounds["medray_batch_images_bucket"] == [1, 2, 4, 8, 16, 32, 64, 128, math.inf]
    assert bounds["medray_confidence_bucket"] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, math.inf]


def test_no_replica_is_an_empty_page() -> None:
    assert samples(render([])) == {}
    assert b"# TYPE medray_requests_total counter\n" in render([])


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['"', "\\n", "a\nb", "}\\"]
)


@given(names=st.lists(words, min_size=1, max_size=5, unique=True), version=words)
@settings(max_examples=60, deadline=None)
def test_any_name_comes_out_as_it_went_in(names: list[str], version: str) -> None:
    own = Telemetry()
    for count, name in enumerate(names, start=1):
        for _ in range(count):
            own.predicted(name, 0.5, [name])
    own.model(names[0], version)
    found = samples(page_of(own))
    for count, name in enumerate(names, start=1):
        assert found["medray_predictions_total", frozenset({("class", name)})] == count
        assert found["medray_flags_total", frozenset({("flag", name)})] == count
    assert found["medray_model_info", frozenset({("name", names[0]), ("version", version)})] == 1


def test_half_a_surrogate_pair_does_not_spoil_the_page() -> None:
    own = Telemetry()
    own.predicted("a\ud800", 0.5)
    own.predicted("a\udc00", 0.5)
    own.model("\ud800", "1")
    assert value(page_of(own), "predictions_total", **{"class": "a?"}) == 2
    assert value(page_of(own), "model_info", name="?", version="1") == 1


# -- bounded, checked, cheap


def test_what_a_client_chooses_makes_no_series() -> None:
    own = Telemetry(routes=("/predict",))
    for n in range(100):
        own.request(f"/{n}", f"M{n}", 404, 0.001)
    own.request("/predict", "get", 200, 0.001)
    page = page_of(own)
    assert value(page, "requests_total", route=OTHER, method=OTHER, status="404") == 100
    assert value(page, "requests_total", route="/predict", method=OTHER, status="200") == 1
    assert sum(name == "medray_requests_total" for name, _ in samples(page)) == 2


def test_series_have_an_end_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(counting, "MOST_SERIES", 5)
    own = Telemetry()
    for turn in range(2):
        for n in range(20):
            own.predicted(f"class {n}", 0.5)
        own.problem(f"once {turn}")
    page = page_of(own)
    assert value(page, "predictions_total", **{"class": "class 4"}) == 2
    assert value(page, "predictions_total", **{"class": OTHER}) == 30
    assert sum(name == "medray_predictions_total" for name, _ in samples(page)) == 6
    assert len(own._classes) == 6
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.parametrize("confidence", [math.nan, -0.1, 1.1, math.inf, np.float32("nan")])
def test_no_probability_counts_nothing(confidence: float) -> None:
    own = Telemetry()
    with pytest.raises(DataError, match="a probability must lie between 0 and 1"):
        own.predicted("a", confidence, ["flag"])
    assert own.snapshot()["series"] == Telemetry().snapshot()["series"]


def test_rounding_of_float32_is_no_error() -> None:
    own = Telemetry()
    own.predicted("a", np.nextafter(np.float32(1), np.float32(2)))
    assert value(page_of(own), "confidence_bucket", le="1.0") == 1
    assert value(page_of(own), "confidence_sum") == 1.0


@pytest.mark.parametrize("seconds", [math.nan, -1.0, math.inf])
def test_no_time_and_no_batch_count_nothing(seconds: float) -> None:
    own = Telemetry()
    with pytest.raises(DataError, match="a request can't take"):
        own.request("/", "GET", 200, seconds)
    with pytest.raises(DataError, match="a batch has one image or more, not 0"):
        own.batch(0)
    assert own.snapshot()["series"] == Telemetry().snapshot()["series"]


@given(st.integers(0, 10**10))
@example(8085185732)  # times a billion it lies just below a whole number
@settings(max_examples=40, deadline=None)
def test_a_time_is_exact_to_the_nanosecond(nanoseconds: int) -> None:
    own = Telemetry()
    own.request("/", "GET", 200, nanoseconds / 10**9)
    assert value(page_of(own), "request_seconds_sum", route="/") == nanoseconds / 10**9


def test_one_model_is_served_at_a_time() -> None:
    own = Telemetry()
    for version in ("1", "2", "2", "3"):
        own.model("organs", version)
        models = [dict(labels)["version"] for name, labels in samples(page_of(own)) if name == "medray_model_info"]
        assert models == [version]


def test_replicas_share_no_state_and_gauges_go_both_ways() -> None:
    one, two = busy(), busy()
    one.left()
    one.queued(0)
    assert (one.in_flight, two.in_flight) == (0, 1)
    page = page_of(one, two)
    assert value(page, "in_flight") == 1
    assert value(page, "queued_images") == 4
    assert value(page, "model_info", name="organs", version="1") == 1, "models are listed, not added"


def test_counting_is_cheap() -> None:
    own = Telemetry()

    def microseconds(turns: int = 1000) -> float:
        began = time.thread_time()
        for _ in range(turns):
            own.request("/predict", "POST", 200, 0.02)
            own.predicted("nodule", 0.93, ("resized",))
            own.batch(8)
        return (time.thread_time() - began) / turns * 1e6

    assert min(microseconds() for _ in range(8)) < 80  # about 8 where nothing else runs


# -- sums over replicas

events = st.one_of(
    st.tuples(
        st.just("request"), st.sampled_from(["/predict", "/", "/x"]), st.sampled_from(["GET", "POST"]),
        st.sampled_from([200, 404]), st.floats(0, 100),
    ),
    st.tuples(
        st.just("predicted"), st.sampled_from("abc"), st.floats(0, 1), st.lists(st.sampled_from("fg"), max_size=2)
    ),
    st.tuples(st.just("batch"), st.integers(1, 300)),
    st.tuples(st.just("refused"), st.sampled_from(["missing", "wrong"])),
    st.tuples(st.just("problem"), st.sampled_from(["timeout", "internal"])),
)  # fmt: skip
Event = tuple[Any, ...]


def play(own: Telemetry, happened: Iterable[Event]) -> None:
    for name, *arguments in happened:
        getattr(own, name)(*arguments)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(events, max_size=12), min_size=1, max_size=4))
def test_replicas_add_up_to_what_happened(replicas: list[list[Event]]) -> None:
    counted: Counter[tuple[str, ...]] = Counter()
    seconds: dict[str, list[float]] = {}
    owns = [Telemetry() for _ in replicas]
    for own, happened in zip(owns, replicas, strict=True):
        play(own, happened)
        for name, *arguments in happened:
            if name == "request":
                route = arguments[0] if arguments[0] != "/x" else OTHER
                counted["requests", route, arguments[1], str(arguments[2])] += 1
                seconds.setdefault(route, []).append(arguments[3])
            elif name == "predicted":
                counted["class", arguments[0]] += 1
                counted.update(("flag", flag) for flag in arguments[2])
            else:
                counted[name, str(arguments[0])] += 1
    page = page_of(*owns)
    found = samples(page)
    direct = {
        "requests": "medray_requests_total", "class": "medray_predictions_total", "flag": "medray_flags_total",
        "refused": "medray_refusals_total", "problem": "medray_errors_total",
    }  # fmt: skip
    names = {"requests": ("route", "method", "status"), "refused": ("reason",)}
    for (kind, *labels), count in counted.items():
        if kind in direct:
            keys = zip(names.get(kind, (kind,)), labels, strict=True)
            assert found.pop((direct[kind], frozenset(keys))) == count
    assert not [key for key in found if key[0].endswith("_total")], "there is nothing else"
    for route, times in seconds.items():
        assert value(page, "request_seconds_sum", route=route) == pytest.approx(math.fsum(times), abs=1e-6)
        for bound in SECONDS:
            labels = frozenset({"route": route, "le": str(bound)}.items())
            assert found["medray_request_seconds_bucket", labels] == sum(one <= bound for one in times)
    batches = [int(size) for (kind, *rest), count in counted.items() if kind == "batch" for size in rest * count]
    assert value(page, "batch_images_sum") == sum(batches)
    assert value(page, "batch_images_count") == len(batches)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(events, max_size=10), min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_replicas_changes_no_bit(replicas: list[list[Event]], chance: random.Random) -> None:
    owns = [Telemetry() for _ in replicas]
    for own, happened in zip(owns, replicas, strict=True):
        play(own, happened)
    page = page_of(*owns)
    chance.shuffle(owns)
    assert page_of(*owns) == page


def test_threads_lose_no_count() -> None:
    own, stop, seen = Telemetry(), threading.Event(), []

    def work(n: int) -> None:
        for _ in range(1500):
            own.entered()
            own.request("/predict", "POST", 200, 0.5)
            own.predicted(f"class {n}", 0.5, ["flag"])
            own.batch(2)
            own.left()

    def watch() -> None:
        while not stop.is_set():
            seen.append(samples(page_of(own)))

    watcher = threading.Thread(target=watch)
    workers = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in [watcher, *workers]:
        thread.start()
    for thread in workers:
        thread.join()
    stop.set()
    watcher.join()
    page = page_of(own)
    assert value(page, "requests_total", route="/predict", method="POST", status="200") == 6000
    assert value(page, "request_seconds_sum", route="/predict") == 3000.0
    assert value(page, "flags_total", flag="flag") == 6000
    assert value(page, "batch_images_sum") == 12000
    assert value(page, "in_flight") == 0
    for before, after in zip(seen, [*seen[1:], samples(page)], strict=True):
        assert_never_down(before, after)


def assert_never_down(before: Samples, after: Samples) -> None:
    down = {
        key: (old, after.get(key))
        for key, old in before.items()
        if not key[0].endswith(("_in_flight", "_images", "_info")) and after.get(key, -1.0) < old
    }
    assert not down


@pytest.mark.parametrize(
    "damage",
    [
        {}, {"source": 3}, {"sequence": "1"}, {"series": []}, {"series": {}}, {"series": None},
    ],
)  # fmt: skip
def test_a_damaged_snapshot_is_refused(damage: dict[str, Any]) -> None:
    content = busy().snapshot() | damage if damage else {}
    with pytest.raises(DataError, match="damaged snapshot of metrics: "):
        render([content])
    with pytest.raises(DataError, match="damaged snapshot of metrics: "):
        Board().put("a", content)


@pytest.mark.parametrize(
    ("metric", "entries"),
    [
        ("medray_predictions_total", [["nodule", [1]]]),
        ("medray_predictions_total", [[[], [1]]]),
        ("medray_predictions_total", [[[3], [1]]]),
        ("medray_predictions_total", [[["a"], [-1]]]),
        ("medray_predictions_total", [[["a"], [1.5]]]),
        ("medray_predictions_total", [[["a"], [True]]]),
        ("medray_predictions_total", [[["a"], [1, 2]]]),
        ("medray_predictions_total", [[["a"], [1]], [["a"], [1]]]),
        ("medray_batch_images", [[[], [1, 2, 3]]]),
        ("medray_batch_images", [3]),
        ("medray_batch_images", 3),
    ],
)
def test_a_damaged_metric_is_refused(metric: str, entries: Any) -> None:
    content = busy().snapshot()
    content["series"][metric] = entries
    with pytest.raises(DataError, match="damaged snapshot of metrics: ") as caught:
        render([content])
    assert "\n" not in str(caught.value)


def test_an_unknown_metric_is_named_with_its_nearest() -> None:
    content = busy().snapshot()
    content["series"]["medray_request_total"] = []
    with pytest.raises(
        DataError, match=r"unknown metric 'medray_request_total' \(did you mean 'medray_requests_tot"
    ):
        render([content])


# -- the board


def total(board: Board) -> float:
    found = samples(render(board.snapshots()))
    return sum(number for (name, _), number in found.items() if name == "medray_requests_total")


def work(own: Telemetry, requests: int = 1) -> dict[str, Any]:
    for _ in range(requests):
        own.request("/predict", "POST", 200, 0.1)
    return own.snapshot()


def test_a_gone_replica_leaves_its_counts_and_takes_its_gauges() -> None:
    board, one, two = Board(), busy(), busy()
    two.model("organs", "2")
    board.put("one", one.snapshot())
    board.put("two", two.snapshot())
    before = samples(render(board.snapshots()))
    board.retire("one")
    after = samples(render(json.loads(json.dumps(board.snapshots()))))
    assert_never_down(before, after)
    assert after["medray_in_flight", frozenset()] == 1
    assert after["medray_queued_images", frozenset()] == 4
    assert [dict(labels)["version"] for name, labels in after if name == "medray_model_info"] == ["2"]
    board.retire("two")
    last = samples(render(board.snapshots()))
    assert_never_down(after, last)
    assert ("medray_in_flight", frozenset()) not in last


def test_nobody_can_be_retired_who_is_not_there() -> None:
    board = Board()
    board.put("replica-1", busy().snapshot())
    with pytest.raises(RunError, match=r"unknown replica 'replica-2' \(did you mean 'replica-1'\?\)"):
        board.retire("replica-2")


def test_the_board_keeps_no_hand_on_what_it_was_given() -> None:
    board, given_ = Board(), busy().snapshot()
    board.put("one", given_)
    given_["series"].clear()
    board.snapshots()[0]["series"].clear()
    assert value(render(board.snapshots()), "batch_images_sum") == 3


def test_a_replica_that_starts_anew_under_its_name_adds_to_the_old() -> None:
    board = Board()
    board.put("one", work(Telemetry(), 5))
    board.put("one", work(Telemetry(), 2))
    assert total(board) == 7


def test_a_word_that_comes_late_or_twice_counts_once() -> None:
    board, own, new = Board(), Telemetry(), Telemetry()
    early, late, last = work(own, 3), work(own), work(own)
    for word in (late, early, late):
        board.put("one", word)
        assert total(board) == 4
    board.retire("one")
    for word in (early, late):
        board.put("one", word)
        assert total(board) == 4
    board.put("one", last)  # it had not gone after all
    assert total(board) == 5
    board.put("one", work(new, 10))
    board.put("one", last)
    board.put("one", work(own))
    assert total(board) == 16
    assert board.snapshots()[-1]["source"] == new.snapshot()["source"], "a former life is not served again"
    board.retire("one")
    assert total(board) == 16
    with pytest.raises(RunError, match="unknown replica 'one'"):
        board.retire("one")


def test_a_life_under_two_names_counts_once() -> None:
    board, own = Board(), Telemetry()
    board.put("one", work(own))
    board.put("two", work(own))
    assert total(board) == 2
    board.retire("one")
    board.put("two", work(own))
    assert total(board) == 3


def test_hundreds_of_gone_replicas_are_few_snapshots_and_lose_nothing() -> None:
    board, first = Board(), Telemetry()
    board.put("first", work(first))
    board.retire("first")
    for n in range(3 * KEPT):
        board.put(f"replica {n}", work(Telemetry()))
        if n % 2:
            board.retire(f"replica {n}")
    assert total(board) == 1 + 3 * KEPT
    assert len(board.snapshots()) == 1 + 3 * KEPT // 2
    assert len(board._known) <= KEPT + 3 * KEPT // 2
    with pytest.raises(RunError, match="replica 'first' was retired long ago"):
        board.put("first", work(first))
    assert total(board) == 1 + 3 * KEPT


def test_those_that_went_first_are_given_up_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "KEPT", 1)
    board, old, short, new = Board(), Telemetry(), Telemetry(), Telemetry()
    board.put("one", work(old))
    board.put("two", work(short))
    board.retire("two")
    board.put("one", work(new))
    board.put("one", work(old))
    assert total(board) == 4
    with pytest.raises(RunError, match="replica 'two' was retired long ago"):
        board.put("two", work(short))


steps = st.lists(
    st.tuples(st.sampled_from(["count", "put", "retire", "restart", "late"]), st.integers(0, 2), events),
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(steps, st.integers(0, 2))
def test_totals_never_go_down_and_end_as_what_was_told(taken: list[tuple[str, int, Event]], kept: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(totals, "KEPT", kept)
        board, owns, last = Board(), [Telemetry() for _ in range(3)], {}
        told: dict[str, dict[str, Any]] = {}  # the latest word of each life
        before: Samples = {}
        for step, n, event in taken:
            if step == "count":
                play(owns[n], [event])
            elif step == "restart":
                owns[n] = Telemetry()
            elif step == "retire" and str(n) in board._live:
                board.retire(str(n))
            elif step in ("put", "late"):
                word = last.get(n) if step == "late" else owns[n].snapshot()
                last[n] = word
                if word is not None and word["source"] not in board._folded:
                    board.put(str(n), word)
                    told[word["source"]] = max(
                        told.get(word["source"], word), word, key=lambda one: one["sequence"]
                    )
            after = samples(render(board.snapshots()))
            assert_never_down(before, after)
            before = after
        counters = {
            key: number for key, number in samples(render(told.values())).items() if key[0][-6:] != "flight"
        }
        assert {key: before[key] for key in counters if key[0] not in ("medray_queued_images",)} == {
            key: number for key, number in counters.items() if key[0] not in ("medray_queued_images",)
        }


def test_threads_share_a_board() -> None:
    board, failed, lives = Board(), [], 12

    def live(n: int) -> None:
        for life in range(lives):
            own = Telemetry()
            for _ in range(5):
                board.put(f"replica {n}", work(own, 2))
            if life % 2:
                board.retire(f"replica {n}")

    def watch() -> None:
        before: Samples = {}
        while any(thread.is_alive() for thread in workers):
            after = samples(render(board.snapshots()))
            try:
                assert_never_down(before, after)
            except AssertionError as error:
                failed.append(error)
            before = after

    workers = [threading.Thread(target=live, args=(n,)) for n in range(4)]
    for thread in workers:
        thread.start()
    watch()
    assert not failed
    assert total(board) == 4 * lives * 10
