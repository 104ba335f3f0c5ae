"""The finding as a structured report: DICOM Comprehensive SR, TID 1500 (Measurement Report), with mL and probabilities.

The standard has no codes for these probabilities; their names are in our own scheme, 99ICHLIB, as PS3.16 8.2 allows.

Source: DICOM PS3.3 A.35.3 (Comprehensive SR), PS3.16 TID 1500, 1501; UCUM for the units.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset

from ich_lib import __version__
from ich_lib.labels import LABELS
from ich_lib.notice import NOTICE
from ich_lib.prediction.analyze import Result
from ich_lib.words import result_sentence
from ich_lib.words.sentences import SHORT_NOTICE, doubt_sentences, provenance

if TYPE_CHECKING:
    import highdicom

SCHEME = "99ICHLIB"
NUMBER = 9002  # of the series
_DEVICE_UID = "1.2.826.0.1.3680043.8.498.1"  # of software: it has no serial number
_SCORES = {  # label to its code
    "epidural": "p-edh",
    "intraparenchymal": "p-iph",
    "intraventricular": "p-ivh",
    "subarachnoid": "p-sah",
    "subdural": "p-sdh",
    "any": "p-any",
}
_FINDINGS = {
    "bleeding": "Intracranial hemorrhage likely",
    "uncertain": "Intracranial hemorrhage uncertain",
    "none": "No intracranial hemorrhage found",
    "withheld": "No finding is given: may not be a native head CT",
}


def report_of(result: Result, headers: Sequence[Dataset], series_uid: str, sop_uid: str, tracking_uid: str) -> Dataset:
    """The report on a series.

    Args:
        result: from `analyze`.
        headers: of its images; their values for patient and study are copied.
        series_uid: of the report's own series.
        sop_uid: of the report.
        tracking_uid: of the bleeding, the same in every report on it.
    """
    import highdicom
    from highdicom.sr import ComprehensiveSR
    from pydicom.sr.codedict import codes

    report = _measurements(result, headers, tracking_uid)
    for text in (NOTICE, result_sentence(result), *doubt_sentences(result), provenance(result)):
        report[0].ContentSequence.append(
            highdicom.sr.TextContentItem(codes.DCM.Comment, text[:1024], highdicom.sr.RelationshipTypeValues.CONTAINS)
        )
    return ComprehensiveSR(
        evidence=list(headers),
        content=report[0],
        series_instance_uid=series_uid,
        series_number=NUMBER,
        sop_instance_uid=sop_uid,
        instance_number=1,
        manufacturer="ich_lib",
        manufacturer_model_name="ich_lib",
        software_versions=__version__,
        device_serial_number="none",
        series_description=SHORT_NOTICE,
        is_complete=True,
        is_final=False,
        is_verified=False,
    )


def _measurements(result: Result, headers: Sequence[Dataset], tracking_uid: str) -> "highdicom.sr.MeasurementReport":
    from highdicom import sr
    from pydicom.sr.codedict import codes

    device = sr.DeviceObserverIdentifyingAttributes(
        uid=_DEVICE_UID, name="ich_lib", manufacturer_name="ich_lib", model_name="ich_lib"
    )
    context = sr.ObservationContext(observer_device_context=sr.ObserverContext(codes.DCM.Device, device))
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=tracking_uid, identifier="Hemorrhage"),
        finding_type=codes.SCT.Hemorrhage,
        finding_sites=[sr.FindingSite(codes.SCT.Intracranial)],
        source_images=[sr.SourceImageForMeasurementGroup.from_source_image(header) for header in headers],
        measurements=_numbers(result) or None,
        qualitative_evaluations=[
            sr.QualitativeEvaluation(
                _code("finding", "Finding of the model"), _code(result.finding, _FINDINGS[result.finding])
            )
        ],
    )
    return sr.MeasurementReport(
        observation_context=context,
        procedure_reported=_code("head-ct", "CT of head, for teaching and research"),
        imaging_measurements=[group],
        title=codes.DCM.ImagingMeasurementReport,
    )


def _numbers(result: Result) -> list["highdicom.sr.Measurement"]:
    """mL, and the probability of each label; empty if the finding is withheld."""
    from highdicom import sr
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    if result.is_withheld:
        return []
    kind = "Probability" if result.calibrated else "Score"
    numbers = [
        sr.Measurement(
            _code(_SCORES[label], f"{kind} of {label} hemorrhage"), round(result.scores[label], 4), codes.UCUM.NoUnits
        )
        for label in LABELS
    ]
    if result.volume_ml is not None:
        ml = CodedConcept("mL", "UCUM", "mL")
        numbers.insert(0, sr.Measurement(codes.SCT.Volume, round(result.volume_ml, 2), ml))
    return numbers


def _code(value: str, meaning: str) -> "highdicom.sr.CodedConcept":
    from highdicom.sr import CodedConcept

    return CodedConcept(value, SCHEME, meaning)
