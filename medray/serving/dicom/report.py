"""The answer to an image as a DICOM structured report: a Comprehensive SR of TID 1500, Measurement Report.

Each measurement group (TID 1501) is one part of the answer: the class with all probabilities, each operating
point's decision, each prediction set, and whether the image is out of distribution. Nobody has verified it, which
it says.
"""

import math
from collections.abc import Iterator, Sequence

from highdicom.sr import (
    AlgorithmIdentification,
    CodeContentItem,
    CodedConcept,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from medray import __version__
from medray.decisions.ood import OUT_OF_DISTRIBUTION
from medray.serving.dicom import concepts
from medray.serving.dicom.concepts import class_concept
from medray.serving.dicom.instance import MANUFACTURER, InstanceKind, to_file, uid_of
from medray.serving.dicom.source_image import UIDS, SourceImage
from medray.serving.engine.answering import PredictAnswer
from medray.serving.engine.answers import (
    Classification,
    ConformalSet,
    Decision,
    ImageLabels,
    ImagePrediction,
    Labelling,
    LabelSets,
    called_labels,
)
from medray.serving.engine.served_model import ServedModel

KIND = InstanceKind("report", 9901, "Classification, research only")


class _Report(ComprehensiveSR):
    """A Comprehensive SR that leaves patient and study to `to_file`, which copies them without reading them."""

    def copy_patient_and_study_information(self, dataset: Dataset) -> None:
        """Copy nothing."""


def write_report(answer: PredictAnswer, source: SourceImage) -> bytes:
    """Return the report on an image's answer as a DICOM file."""
    assert isinstance(answer.prediction, ImagePrediction | ImageLabels)
    groups = list(_Groups(answer.model, source).of(answer.prediction))
    content = MeasurementReport(ObservationContext(_observer(answer.model, source)), concepts.PROCEDURE, groups)
    report = _Report(
        [_evidence(source)], content[0], is_complete=True, coding_schemes=[concepts.scheme_of_medray()],
        **KIND.arguments(source, answer.model.identity),
    )  # fmt: skip
    return to_file(report, source)


def _evidence(source: SourceImage) -> Dataset:
    """Return what the report refers to; of the patient it has nothing, see `_Report`."""
    evidence = Dataset()
    for name in UIDS:
        setattr(evidence, name, source.text(name))
    for name in (
        "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
        "StudyTime", "ReferringPhysicianName",
    ):  # fmt: skip
        setattr(evidence, name, None)
    return evidence


def _observer(model: ServedModel, source: SourceImage) -> ObserverContext:
    device = DeviceObserverIdentifyingAttributes(
        uid_of("device", model.name, model.version), name=source.printable(model.name, 64),
        manufacturer_name=MANUFACTURER, model_name=f"medray {__version__}", serial_number=model.version,
    )  # fmt: skip
    return ObserverContext(codes.DCM.Device, device)


class _Groups:
    """The measurement groups of one image's answer."""

    def __init__(self, model: ServedModel, source: SourceImage) -> None:
        self.model, self.source = model, source

    def of(self, answer: Classification | Labelling) -> Iterator[MeasurementsAndQualitativeEvaluations]:
        yield self._classification(answer)
        for decision in answer.decisions:
            yield self._decision(decision)
        for conformal in answer.sets:
            yield self._set(conformal)
        if answer.ood is not None:
            flagged = OUT_OF_DISTRIBUTION in answer.flags
            yield self._group(
                "out of distribution",
                [QualitativeEvaluation(concepts.OUT_OF_DISTRIBUTION, concepts.YES if flagged else concepts.NO)],
                [_number(concepts.OOD_SCORE, answer.ood.score), _number(concepts.THRESHOLD, answer.ood.threshold)],
            )

    def _classification(self, answer: Classification | Labelling) -> MeasurementsAndQualitativeEvaluations:
        flags = [flag for flag in answer.flags if flag != OUT_OF_DISTRIBUTION]
        evaluations = [
            *(QualitativeEvaluation(concepts.PREDICTED, self._class(name)) for name in called_labels(answer)),
            *(QualitativeEvaluation(concepts.PREPARATION, self._class(flag)) for flag in flags),
        ]
        probabilities = [self._probability(name, value) for name, value in answer.probabilities.items()]
        return self._group("classification", evaluations, probabilities)

    def _decision(self, decision: Decision) -> MeasurementsAndQualitativeEvaluations:
        point = f"{decision.operating_point}: {decision.event}"
        evaluation = QualitativeEvaluation(
            concepts.DECISION, concepts.POSITIVE if decision.positive else concepts.NEGATIVE
        )
        self._mark(evaluation[0], decision.event)
        numbers = [self._probability(decision.event, decision.probability)]
        if math.isfinite(decision.threshold):
            numbers.append(_number(concepts.THRESHOLD, decision.threshold))
        promised = {(p.name, p.positive): p.promised for p in self.model.ensemble.operating_points}
        promise = promised.get((decision.operating_point, decision.event))
        if promise is not None:
            numbers.append(_number(concepts.PROMISED, promise))
        return self._group(f"operating point {point}", [evaluation], numbers)

    def _set(self, conformal: ConformalSet | LabelSets) -> MeasurementsAndQualitativeEvaluations:
        if isinstance(conformal, ConformalSet):
            parts = [(concepts.IN_SET, conformal.classes)]
        else:
            parts = [
                (concepts.IN_SET, conformal.present),
                (concepts.ABSENT, conformal.absent),
                (concepts.NOT_SURE, conformal.not_sure),
            ]
        evaluations = [QualitativeEvaluation(part, self._class(name)) for part, names in parts for name in names]
        if not evaluations:
            evaluations = [QualitativeEvaluation(concepts.IN_SET, concepts.NONE_OF_THEM)]
        coverage = _number(concepts.COVERAGE, conformal.coverage)
        return self._group(f"prediction set of coverage {conformal.coverage:g}", evaluations, [coverage])

    def _group(
        self, name: str, evaluations: Sequence[QualitativeEvaluation], measurements: Sequence[Measurement]
    ) -> MeasurementsAndQualitativeEvaluations:
        """Return a part of the answer as a group about the image."""
        source, model = self.source, self.model
        algorithm = AlgorithmIdentification(
            source.printable(model.name, 64), model.version, manufacturer=MANUFACTURER,
            parameters=[f"medray {__version__}", source.printable(model.ensemble.manifest.intended_use, 1024)],
        )  # fmt: skip
        tracking = TrackingIdentifier(
            uid_of("group", model.name, model.version, source.sha256, name), source.printable(name, 64)
        )
        image = SourceImageForMeasurementGroup(source.text("SOPClassUID"), source.text("SOPInstanceUID"))
        return MeasurementsAndQualitativeEvaluations(
            tracking, algorithm_id=algorithm, measurements=measurements, qualitative_evaluations=evaluations,
            source_images=[image],
        )  # fmt: skip

    def _class(self, name: str) -> CodedConcept:
        return class_concept(name, self.source)

    def _probability(self, event: str, value: float) -> Measurement:
        measurement = _number(concepts.PROBABILITY, value)
        self._mark(measurement[0], event)
        return measurement

    def _mark(self, item: Dataset, event: str) -> None:
        """Say of which finding a number or a decision is."""
        modifier = CodeContentItem(
            concepts.FINDING, self._class(event), relationship_type=RelationshipTypeValues.HAS_CONCEPT_MOD
        )
        item.ContentSequence = [modifier]


def _number(name: CodedConcept, value: float) -> Measurement:
    return Measurement(name, value, concepts.NO_UNITS)
