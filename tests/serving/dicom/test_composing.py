"""Answers with a picture or in DICOM: how many may wait."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from medray.serving.engine.problems import Kind, Problem
from medray.serving.engine.served_model import ServedModel
from medray.serving.engine.service import COMPOSED, Service
from medray.serving.engine.service_settings import ServiceSettings

pytestmark = pytest.mark.component


@pytest.fixture
def service(model: ServedModel) -> Iterator[Service]:
    made = Service(ServiceSettings(timeout=0.2), model)
    yield made
    made.close()


def test_many_answers_of_one_request_are_composed(service: Service) -> None:
    many = range(2 * COMPOSED)
    assert asyncio.run(service.compose(many, str)) == [str(number) for number in many]


def test_work_counts_until_it_is_done(service: Service) -> None:
    goes_on = threading.Event()

    async def scenario() -> None:
        with pytest.raises(Problem) as late:
            await service.compose(range(COMPOSED), lambda _: goes_on.wait(10))
        assert late.value.kind is Kind.TIMEOUT
        with pytest.raises(Problem) as refused:  # the thread is still at it
            await service.compose([1], str)
        assert refused.value.kind is Kind.OVERLOADED
        goes_on.set()
        await asyncio.wrap_future(service._composer.submit(str))  # after the work
        assert await service.compose([1], str) == ["1"]

    asyncio.run(scenario())
