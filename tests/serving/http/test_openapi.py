"""The description of the interface: every answer keeps to it, whatever is asked (schemathesis)."""

import json

import hypothesis
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from medray.serving.http.app import ROUTES as SERVED
from tests.serving.conftest import Site

pytestmark = pytest.mark.component

PATHS = [route.path for route in SERVED]
CHECKS = (
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
)


@pytest.mark.parametrize("path", PATHS)
def test_answers_keep_to_the_description(open_site: Site, path: str) -> None:
    schema = schemathesis.openapi.from_url(f"{open_site.url}/openapi.json")
    for operation in schema.include(path=path).get_all_operations():
        takes_body = "requestBody" in operation.ok().definition.raw  # else nothing can be sent that is wrong
        for mode in (GenerationMode.POSITIVE, *([GenerationMode.NEGATIVE] if takes_body else [])):
            check(operation.ok(), mode, open_site.url)


def check(operation, mode, url, headers=None) -> None:  # type: ignore[no-untyped-def]  # schemathesis's own types are not public
    @hypothesis.settings(
        max_examples=15, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(operation.as_strategy(generation_mode=mode))
    def run(case) -> None:  # type: ignore[no-untyped-def]
        case.call_and_validate(base_url=url, checks=CHECKS, headers=headers)

    run()


def test_every_route_is_described(open_site: Site) -> None:
    described = open_site.client.get("/openapi.json").json()["paths"]
    assert set(described) == set(PATHS)


def test_the_examples_are_of_this_model_and_work(open_site: Site) -> None:
    paths = open_site.client.get("/openapi.json").json()["paths"]
    infer = paths["/v2/models/{name}/infer"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert open_site.client.post("/v2/models/corners/infer", content=json.dumps(infer)).status_code == 200
    page = open_site.client.get("/docs").text
    assert all(path in page for path in paths)
    assert "left &lt;&amp;&gt;" in page
