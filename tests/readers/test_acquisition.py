"""How a scan was made, according to its header: both readers pass it on."""

import pytest
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset

from ich_lib.readers import read
from ich_lib.readers.acquisition import TAGS, acquisition_of, body_part, kernel_kind
from ich_lib.scan import UNKNOWN_ACQUISITION, Acquisition
from tests.dicom_files import write_series
from tests.planted import head, laid_out

CHEST = {
    "BodyPartExamined": "CHEST",
    "ReconstructionDiameter": 380,
    "ContrastBolusAgent": "Iomeron 300",
    "ConvolutionKernel": ["B70f", "3"],
    "RescaleType": "HU",
}


@pytest.mark.parametrize("isolated", [False, True])
def test_the_header_travels_with_the_scan_in_our_own_words(tmp_path, isolated):
    write_series(tmp_path / "series", *laid_out(head(), "LPS"), **CHEST)
    scan = read(tmp_path / "series", isolated=isolated)
    assert scan.acquisition == Acquisition("CT", "chest", 380.0, True, "sharp", "HU")


def test_what_a_header_does_not_say_is_not_said():
    assert acquisition_of(Dataset()) == UNKNOWN_ACQUISITION
    header = Dataset()
    for tag in TAGS[:-1]:
        if tag != "ContrastBolusAgentSequence":
            setattr(header, tag, None)
    assert acquisition_of(header) == UNKNOWN_ACQUISITION


def test_nothing_of_a_header_is_passed_on_as_it_stands():
    """A name that was typed into the wrong field must not reach a sentence."""
    header = Dataset()
    with disable_value_validation():
        header.BodyPartExamined, header.ConvolutionKernel, header.Modality = "MILLER^ANNA", "Miller", "MILLER"
    acquisition = acquisition_of(header)
    assert "miller" not in repr(acquisition).lower()
    assert (acquisition.body_part, acquisition.kernel, acquisition.modality) == ("", "", "other")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("HEAD", "head"),
        ("HEADNECK", "head"),
        ("Brain", "head"),
        ("SINUS", "face"),
        ("C-SPINE", "neck"),
        ("HEART", "chest"),
        ("ABDOMENPELVIS", "abdomen"),
        ("OVARY", "pelvis"),
        ("KNEE", "limb"),
        ("WHOLEBODY", "whole body"),
        ("X", ""),
    ],
)
def test_the_part_of_the_body_is_one_of_ours(text, part):
    assert body_part(text) == part


@pytest.mark.parametrize("agent", ["", "NONE", "None", "non-contrast", "w/o", "NO", "without"])
def test_an_agent_that_is_none_is_no_contrast(agent):
    header = Dataset()
    header.ContrastBolusAgent = agent
    assert not acquisition_of(header).contrast
    header.ContrastBolusAgent = "CE"
    assert acquisition_of(header).contrast


@pytest.mark.parametrize(
    ("numbers", "word"), [("HU", "HU"), (None, ""), ("US", "unspecified"), ("Z_EFF", "other"), ("HU_MOD", "other")]
)
def test_the_unit_of_the_numbers_is_told(numbers, word):
    header = Dataset()
    header.RescaleType = numbers
    assert acquisition_of(header).numbers == word


@pytest.mark.parametrize(
    ("kernel", "kind"),
    [
        ("H30s", "soft"),
        ("Hr64", "sharp"),
        ("FC13", "soft"),
        ("FC52", "sharp"),
        ("STD+", "soft"),
        ("YC", "sharp"),
        ("Q", ""),
    ],
)
def test_a_kernel_is_soft_or_sharp_or_not_known(kernel, kind):
    assert kernel_kind(kernel) == kind
