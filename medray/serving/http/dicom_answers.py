"""The part of POST /predict that answers in DICOM: what is asked for, and whether the images allow it."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from medray.errors import unknown_choice_line
from medray.serving.engine.answering import PredictAnswer
from medray.serving.engine.problems import Kind, Problem
from medray.serving.engine.service import Service
from medray.serving.http.accept import DicomForms, dicom_forms, dicom_response
from medray.serving.http.request_body import File

if TYPE_CHECKING:  # pydicom takes 0.7 s and 60 MB, which a service that answers in JSON does without
    from medray.serving.dicom.source_image import SourceImage

REPORT, OVERLAY, BOTH = DICOM_ANSWERS = ("sr", "overlay", "both")
PARTS = 'Accept: multipart/related; type="application/dicom"'


@dataclass(frozen=True)
class DicomRequest:
    """What a request wants of each image: the report, the overlay of a class, or both."""

    forms: DicomForms
    answer: str

    @property
    def has_overlay(self) -> bool:
        """Whether overlays are asked for."""
        return self.answer != REPORT

    async def read(self, service: Service, files: Sequence[File]) -> "list[SourceImage]":
        """Return the identity of the images.

        Raises:
            Problem: one is no DICOM image that an answer can refer to, or the answers don't fit into the form.
        """
        if not self.forms.parts and (len(files) > 1 or self.answer == BOTH):
            several = f"{len(files)} images have" if len(files) > 1 else "answer=both has"
            raise Problem(Kind.NOT_ACCEPTABLE, f"{several} several DICOM files as an answer; ask for {PARTS}")
        return [await service.read(file.content, _read_source) for file in files]

    async def respond(
        self, service: Service, answers: Sequence[PredictAnswer], files: Sequence[File],
        sources: "Sequence[SourceImage]", label: str | None,
    ) -> Response:  # fmt: skip
        """Return the answers as DICOM, in the order of the images; of each the report comes first.

        Raises:
            Problem: the networks can't be explained, too many answers wait, or it took too long.
        """

        def write(one: "tuple[PredictAnswer, File, SourceImage]") -> list[bytes]:
            return self._write(*one, label, service.settings.max_pixels)

        written = await service.compose(list(zip(answers, files, sources, strict=True)), write)
        return dicom_response([file for of_image in written for file in of_image], self.forms)

    def _write(
        self, answer: PredictAnswer, file: File, source: "SourceImage", label: str | None, max_pixels: int
    ) -> list[bytes]:
        from medray.serving.dicom.overlay import write_overlay  # highdicom, an optional extra
        from medray.serving.dicom.report import write_report

        written = [write_report(answer, source)] if self.answer != OVERLAY else []
        if self.has_overlay:
            written.append(write_overlay(answer, file.content, source, label, max_pixels))
        return written


def _read_source(content: bytes, max_pixels: int) -> "SourceImage":
    from medray.serving.dicom.source_image import SourceImage  # pydicom

    return SourceImage.read(content, max_pixels)


def dicom_request(request: Request) -> DicomRequest | None:
    """Return what a request wants in DICOM, None where it wants JSON.

    Raises:
        Problem: `answer` is unknown or not of JSON, or this service does not write the DICOM that is.
    """
    answer, forms = request.query_params.get("answer"), dicom_forms(request.headers.get("accept", ""))
    if answer is not None and answer not in DICOM_ANSWERS:
        raise Problem(Kind.BAD_REQUEST, unknown_choice_line("answer", answer[:40], DICOM_ANSWERS))
    if forms is None:
        if answer is not None:
            raise Problem(
                Kind.BAD_REQUEST, "answer says which DICOM file is wanted; send Accept: application/dicom too"
            )
        return None
    if find_spec("highdicom") is None:
        raise Problem(
            Kind.NOT_ACCEPTABLE,
            "this service writes no DICOM: it lacks highdicom; `pip install 'medray[dicom]'` there",
        )
    return DicomRequest(forms, answer or REPORT)
