"""Metrics: the page can be parsed, replicas add up exactly, and no counter ever goes down."""

import logging
import math
import pickle
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
from medray.serving.telemetry import replica_metrics, totals
from medray.serving.telemetry.replica_metrics import OTHER, SECONDS, Snapshot, Telemetry
from medray.serving.telemetry.totals import CONTENT_TYPE, KEPT, Totals, render

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(page: bytes) -> Samples:
    """Every sample of a page by its name and labels."""
    parsed: Samples = {}
    for family in text_string_to_metric_families(page.decode("utf-8")):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in parsed
            parsed[key] = sample.value
    return parsed


def value(page: bytes, name: str, /, **labels: str) -> float:
    return samples(page)[f"medray_{name}", frozenset(labels.items())]


def page_of(*replicas: Telemetry) -> bytes:
    return page(replica.snapshot() for replica in replicas)


def page(snapshots: Iterable[Snapshot]) -> bytes:
    """The page of snapshots that have travelled between processes."""
    return render(metric for snapshot in snapshots for metric in pickle.loads(pickle.dumps(snapshot)).metrics)


def busy() -> Telemetry:
    telemetry = Telemetry()
    telemetry.request("/predict", "POST", 200, 0.02)
    telemetry.predicted("nodule", 0.93, ["resized"])
    telemetry.batch(3)
    telemetry.refused("missing")
    telemetry.problem("timeout")
    telemetry.queued(4)
    telemetry.entered()
    telemetry.model("organs", "1")
    return telemetry


# -- the page


def test_every_metric_has_its_type_and_help() -> None:
    families = {family.name: family for family in text_string_to_metric_families(page_of(busy()).decode())}
    types = {name: family.type for name, family in families.items()}
    assert types == {
        "medray_requests": "counter", "medray_errors": "counter", "medray_request_seconds": "histogram",
        "medray_batch_images": "histogram", "medray_predictions": "counter", "medray_confidence": "histogram",
        "medray_flags": "counter", "medray_refusals": "counter", "medray_queued_images": "gauge",
        "medray_in_flight": "gauge", "medray_model_info": "gauge", "medray_case_images": "histogram",
    }  # fmt: skip
    assert all(family.documentation.endswith(".") and family.samples for family in families.values())
    lines = page_of(busy()).decode().splitlines()
    for name, kind in types.items():
        written = f"{name}_total" if kind == "counter" else name
        assert lines.count(f"# TYPE {written} {kind}") == 1
        assert sum(line.startswith(f"# HELP {written} ") for line in lines) == 1
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


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['"', "\\n", "a\nb", "}\\"]
)


@given(names=st.lists(words, min_size=1, max_size=5, unique=True), version=words)
@settings(max_examples=60, deadline=None)
def test_any_name_comes_out_as_it_went_in(names: list[str], version: str) -> None:
    telemetry = Telemetry()
    for count, name in enumerate(names, start=1):
        for _ in range(count):
            telemetry.predicted(name, 0.5, [name])
    telemetry.model(names[0], version)
    parsed = samples(page_of(telemetry))
    for count, name in enumerate(names, start=1):
        assert parsed["medray_predictions_total", frozenset({("class", name)})] == count
        assert parsed["medray_flags_total", frozenset({("flag", name)})] == count
    assert parsed["medray_model_info", frozenset({("name", names[0]), ("version", version)})] == 1


def test_half_a_surrogate_pair_does_not_spoil_the_page() -> None:
    telemetry = Telemetry()
    telemetry.predicted("a\ud800", 0.5)
    telemetry.predicted("a\udc00", 0.5)
    telemetry.model("\ud800", "1")
    assert value(page_of(telemetry), "predictions_total", **{"class": "a?"}) == 2
    assert value(page_of(telemetry), "model_info", name="?", version="1") == 1


# -- bounded, checked, cheap


def test_what_a_client_chooses_makes_no_series() -> None:
    telemetry = Telemetry()
    for n in range(100):
        telemetry.request(OTHER, f"M{n}", 404, 0.001)
    telemetry.request("/predict", "get", 200, 0.001)
    page = page_of(telemetry)
    assert value(page, "requests_total", route=OTHER, method=OTHER, status="404") == 100
    assert value(page, "requests_total", route="/predict", method=OTHER, status="200") == 1
    assert sum(name == "medray_requests_total" for name, _ in samples(page)) == 2


def test_series_have_an_end_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(replica_metrics, "MAX_SERIES", 5)
    telemetry = Telemetry()
    for turn in range(2):
        for n in range(20):
            telemetry.predicted(f"class {n}", 0.5)
        telemetry.problem(f"once {turn}")
    page = page_of(telemetry)
    assert value(page, "predictions_total", **{"class": "class 4"}) == 2
    assert value(page, "predictions_total", **{"class": OTHER}) == 30
    assert sum(name == "medray_predictions_total" for name, _ in samples(page)) == 6
    assert len(telemetry._classes) == 6
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.parametrize("confidence", [math.nan, -0.1, 1.1, math.inf, np.float32("nan")])
def test_no_probability_counts_nothing(confidence: float) -> None:
    telemetry = Telemetry()
    with pytest.raises(DataError, match="a probability must lie between 0 and 1"):
        telemetry.predicted("a", confidence, ["flag"])
    assert telemetry.snapshot().metrics == Telemetry().snapshot().metrics


def test_rounding_of_float32_is_no_error() -> None:
    telemetry = Telemetry()
    telemetry.predicted("a", np.nextafter(np.float32(1), np.float32(2)))
    assert value(page_of(telemetry), "confidence_bucket", le="1.0") == 1
    assert value(page_of(telemetry), "confidence_sum") == 1.0


@pytest.mark.parametrize("seconds", [math.nan, -1.0, math.inf])
def test_no_time_and_no_batch_count_nothing(seconds: float) -> None:
    telemetry = Telemetry()
    with pytest.raises(DataError, match="a request can't take"):
        telemetry.request("/", "GET", 200, seconds)
    with pytest.raises(DataError, match="a batch has one image or more, not 0"):
        telemetry.batch(0)
    assert telemetry.snapshot().metrics == Telemetry().snapshot().metrics


@given(st.integers(0, 10**10))
@example(8085185732)  # times a billion it lies just below a whole number
@settings(max_examples=40, deadline=None)
def test_a_time_is_exact_to_the_nanosecond(nanoseconds: int) -> None:
    telemetry = Telemetry()
    telemetry.request("/", "GET", 200, nanoseconds / 10**9)
    assert value(page_of(telemetry), "request_seconds_sum", route="/") == nanoseconds / 10**9


def test_one_model_is_served_at_a_time() -> None:
    telemetry = Telemetry()
    for version in ("1", "2", "2", "3"):
        telemetry.model("organs", version)
        models = [
            dict(labels)["version"] for name, labels in samples(page_of(telemetry)) if name == "medray_model_info"
        ]
        assert models == [version]


def test_replicas_share_no_state_and_gauges_go_both_ways() -> None:
    first, second = busy(), busy()
    first.left()
    first.queued(0)
    assert (first.in_flight, second.in_flight) == (0, 1)
    page = page_of(first, second)
    assert value(page, "in_flight") == 1
    assert value(page, "queued_images") == 4
    assert value(page, "model_info", name="organs", version="1") == 1, "models are listed, not added"


def test_counting_is_cheap() -> None:
    telemetry = Telemetry()

    def microseconds(turns: int = 1000) -> float:
        began = time.thread_time()
        for _ in range(turns):
            telemetry.request("/predict", "POST", 200, 0.02)
            telemetry.predicted("nodule", 0.93, ("resized",))
            telemetry.batch(8)
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


def play(telemetry: Telemetry, happened: Iterable[Event]) -> None:
    for name, *arguments in happened:
        getattr(telemetry, name)(*arguments)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(events, max_size=12), min_size=1, max_size=4))
def test_replicas_add_up_to_what_happened(replicas: list[list[Event]]) -> None:
    counted: Counter[tuple[str, ...]] = Counter()
    seconds: dict[str, list[float]] = {}
    telemetries = [Telemetry() for _ in replicas]
    for telemetry, happened in zip(telemetries, replicas, strict=True):
        play(telemetry, happened)
        for name, *arguments in happened:
            if name == "request":
                route = arguments[0]
                counted["requests", route, arguments[1], str(arguments[2])] += 1
                seconds.setdefault(route, []).append(arguments[3])
            elif name == "predicted":
                counted["class", arguments[0]] += 1
                counted.update(("flag", flag) for flag in arguments[2])
            else:
                counted[name, str(arguments[0])] += 1
    page = page_of(*telemetries)
    parsed = samples(page)
    direct = {
        "requests": "medray_requests_total", "class": "medray_predictions_total", "flag": "medray_flags_total",
        "refused": "medray_refusals_total", "problem": "medray_errors_total",
    }  # fmt: skip
    names = {"requests": ("route", "method", "status"), "refused": ("reason",)}
    for (kind, *labels), count in counted.items():
        if kind in direct:
            keys = zip(names.get(kind, (kind,)), labels, strict=True)
            assert parsed.pop((direct[kind], frozenset(keys))) == count
    assert not [key for key in parsed if key[0].endswith("_total")], "there is nothing else"
    for route, times in seconds.items():
        assert value(page, "request_seconds_sum", route=route) == pytest.approx(math.fsum(times), abs=1e-6)
        for bound in SECONDS:
            labels = frozenset({"route": route, "le": str(bound)}.items())
            assert parsed["medray_request_seconds_bucket", labels] == sum(time <= bound for time in times)
    batches = [int(size) for (kind, *rest), count in counted.items() if kind == "batch" for size in rest * count]
    assert value(page, "batch_images_sum") == sum(batches)
    assert value(page, "batch_images_count") == len(batches)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(events, max_size=10), min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_replicas_changes_no_bit(replicas: list[list[Event]], chance: random.Random) -> None:
    telemetries = [Telemetry() for _ in replicas]
    for telemetry, happened in zip(telemetries, replicas, strict=True):
        play(telemetry, happened)
    page = page_of(*telemetries)
    chance.shuffle(telemetries)
    assert page_of(*telemetries) == page


def test_threads_lose_no_count() -> None:
    telemetry, stop, seen = Telemetry(), threading.Event(), []

    def work(n: int) -> None:
        for _ in range(1500):
            telemetry.entered()
            telemetry.request("/predict", "POST", 200, 0.5)
            telemetry.predicted(f"class {n}", 0.5, ["flag"])
            telemetry.batch(2)
            telemetry.left()

    def watch() -> None:
        while not stop.is_set():
            seen.append(samples(page_of(telemetry)))

    watcher = threading.Thread(target=watch)
    workers = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in [watcher, *workers]:
        thread.start()
    for thread in workers:
        thread.join()
    stop.set()
    watcher.join()
    page = page_of(telemetry)
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


# -- totals over replicas that come and go


def total(replicas: Totals) -> float:
    parsed = samples(render(replicas.metrics()))
    return sum(number for (name, _), number in parsed.items() if name == "medray_requests_total")


def work(telemetry: Telemetry, requests: int = 1) -> Snapshot:
    for _ in range(requests):
        telemetry.request("/predict", "POST", 200, 0.1)
    return telemetry.snapshot()


def test_a_gone_replica_leaves_its_counts_and_takes_its_gauges() -> None:
    replicas, first, second = Totals(), busy(), busy()
    second.model("organs", "2")
    replicas.put("one", first.snapshot())
    replicas.put("two", second.snapshot())
    before = samples(render(replicas.metrics()))
    replicas.retire("one")
    after = samples(render(replicas.metrics()))
    assert_never_down(before, after)
    assert after["medray_in_flight", frozenset()] == 1
    assert after["medray_queued_images", frozenset()] == 4
    assert [dict(labels)["version"] for name, labels in after if name == "medray_model_info"] == ["2"]
    replicas.retire("two")
    last = samples(render(replicas.metrics()))
    assert_never_down(after, last)
    assert ("medray_in_flight", frozenset()) not in last


def test_nobody_can_be_retired_who_is_not_there() -> None:
    replicas = Totals()
    replicas.put("replica-1", busy().snapshot())
    with pytest.raises(RunError, match=r"unknown replica 'replica-2' \(did you mean 'replica-1'\?\)"):
        replicas.retire("replica-2")


def test_what_is_done_to_the_sums_changes_no_total() -> None:
    replicas = Totals()
    replicas.put("one", busy().snapshot())
    for metric in replicas.metrics():
        metric.samples.clear()
    assert value(render(replicas.metrics()), "batch_images_sum") == 3


def test_a_replica_that_starts_anew_under_its_name_adds_to_the_old() -> None:
    replicas = Totals()
    replicas.put("one", work(Telemetry(), 5))
    replicas.put("one", work(Telemetry(), 2))
    assert total(replicas) == 7


def test_a_snapshot_that_comes_late_or_twice_counts_once() -> None:
    replicas, telemetry, new = Totals(), Telemetry(), Telemetry()
    early, late, last = work(telemetry, 3), work(telemetry), work(telemetry)
    for snapshot in (late, early, late):
        replicas.put("one", snapshot)
        assert total(replicas) == 4
    replicas.retire("one")
    for snapshot in (early, late):
        replicas.put("one", snapshot)
        assert total(replicas) == 4
    replicas.put("one", last)  # it had not gone after all
    assert total(replicas) == 5
    replicas.put("one", work(new, 10))
    replicas.put("one", last)
    replicas.put("one", work(telemetry))
    assert total(replicas) == 16
    assert replicas._live["one"] == new.snapshot().source, "a former process is not served again"
    replicas.retire("one")
    assert total(replicas) == 16
    with pytest.raises(RunError, match="unknown replica 'one'"):
        replicas.retire("one")


def test_a_process_under_two_names_counts_once() -> None:
    replicas, telemetry = Totals(), Telemetry()
    replicas.put("one", work(telemetry))
    replicas.put("two", work(telemetry))
    assert total(replicas) == 2
    replicas.retire("one")
    replicas.put("two", work(telemetry))
    assert total(replicas) == 3


def test_hundreds_of_gone_replicas_are_few_snapshots_and_lose_nothing() -> None:
    replicas, first = Totals(), Telemetry()
    replicas.put("first", work(first))
    replicas.retire("first")
    for n in range(3 * KEPT):
        replicas.put(f"replica {n}", work(Telemetry()))
        if n % 2:
            replicas.retire(f"replica {n}")
    assert total(replicas) == 1 + 3 * KEPT
    assert len(replicas._known) <= KEPT + 3 * KEPT // 2
    with pytest.raises(RunError, match="replica 'first' was retired long ago"):
        replicas.put("first", work(first))
    assert total(replicas) == 1 + 3 * KEPT


def test_those_that_went_first_are_given_up_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "KEPT", 1)
    replicas, old, short, new = Totals(), Telemetry(), Telemetry(), Telemetry()
    replicas.put("one", work(old))
    replicas.put("two", work(short))
    replicas.retire("two")
    replicas.put("one", work(new))
    replicas.put("one", work(old))
    assert total(replicas) == 4
    with pytest.raises(RunError, match="replica 'two' was retired long ago"):
        replicas.put("two", work(short))


steps = st.lists(
    st.tuples(st.sampled_from(["count", "put", "retire", "restart", "late"]), st.integers(0, 2), events),
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(steps, st.integers(0, 2))
def test_totals_never_go_down_and_end_as_what_was_reported(taken: list[tuple[str, int, Event]], kept: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(totals, "KEPT", kept)
        replicas, telemetries, last = Totals(), [Telemetry() for _ in range(3)], {}
        latest: dict[str, Snapshot] = {}  # the latest snapshot of each process
        before: Samples = {}
        for step, n, event in taken:
            if step == "count":
                play(telemetries[n], [event])
            elif step == "restart":
                telemetries[n] = Telemetry()
            elif step == "retire" and str(n) in replicas._live:
                replicas.retire(str(n))
            elif step in ("put", "late"):
                snapshot = last.get(n) if step == "late" else telemetries[n].snapshot()
                last[n] = snapshot
                if snapshot is not None and snapshot.source not in replicas._folded:
                    replicas.put(str(n), snapshot)
                    latest[snapshot.source] = max(
                        latest.get(snapshot.source, snapshot), snapshot, key=lambda report: report.sequence
                    )
            after = samples(render(replicas.metrics()))
            assert_never_down(before, after)
            before = after
        counters = {
            key: number for key, number in samples(page(latest.values())).items() if key[0][-6:] != "flight"
        }
        assert {key: before[key] for key in counters if key[0] not in ("medray_queued_images",)} == {
            key: number for key, number in counters.items() if key[0] not in ("medray_queued_images",)
        }


def test_threads_share_totals() -> None:
    replicas, failed, restarts = Totals(), [], 12

    def live(n: int) -> None:
        for process in range(restarts):
            telemetry = Telemetry()
            for _ in range(5):
                replicas.put(f"replica {n}", work(telemetry, 2))
            if process % 2:
                replicas.retire(f"replica {n}")

    def watch() -> None:
        before: Samples = {}
        while any(thread.is_alive() for thread in workers):
            after = samples(render(replicas.metrics()))
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
    assert total(replicas) == 4 * restarts * 10
