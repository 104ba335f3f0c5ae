"""The meaning of headers and descriptions of real scanners, one per line: a table that a radiographer can check."""

import pytest

from ich_lib.readers.descriptions import printable_code, printable_words
from ich_lib.readers.protocol import SHARP, SOFT, UNKNOWN, has_contrast, is_across, is_head, is_odd, sharpness

NATIVE = (
    "NCCT 5mm", "Head w/o", "Head W/O Contrast", "Head without IV contrast", "non-contrast head", "NON CON",
    "Schädel nativ",
    "CCT ohne KM", "Crâne sans injection", "Cráneo sin contraste", "cranio senza mdc", "CT head C-", "HEAD UNENHANCED",
    "Plain brain", "no contrast 5.0", "NECT", "pre-contrast", "Tete SPC", "Head wo con",
)  # fmt: skip
CONTRAST = (
    "CTA +C", "Head CE", "Head C+", "+C Head", "CT-Angio 0.6", "CTV", "Head with contrast", "Schädel mit KM", "CCT KM",
    "post contrast", "postcon 5.0", "Angiografia", "Carotids 1.0", "COW", "venous phase", "Arterial 0.6",
    "Crâne avec contraste", "Cráneo con contraste", "HEAD W CONTRAST", "Perfusion 5.0", "Head_C+_5.0", "delayed 5min",
)  # fmt: skip
SILENT = (
    "Head 5.0 H31s",
    "Axial brain",
    "",
    "Bone 1mm",
    "Head thin",
    "Cervical",
    "Recon 2",
    "Concussion protocol",
    "Ceiling",
)


@pytest.mark.parametrize("text", NATIVE)
def test_a_no_before_a_word_of_contrast_means_native(text):
    assert has_contrast(text) is False


@pytest.mark.parametrize("text", CONTRAST)
def test_words_of_contrast_in_six_languages(text):
    assert has_contrast(text) is True


@pytest.mark.parametrize("text", SILENT)
def test_other_words_say_nothing_of_contrast(text):
    assert has_contrast(text) is None


KERNELS = {
    SOFT: "H31s H40s H20f J40s Hr38 Br36f Hc40 Qr40 FC21 FC26 FC64 FC02 UB UA UC A B STANDARD STND SOFT Brain",
    SHARP: "H60s H70h H70s Hr64 Br64 J70h B80f U90u FC30 FC81 FC51 FC35 BONE BONEPLUS EDGE LUNG YC D EC L",
    UNKNOWN: "C 4711 Unknown",
}


@pytest.mark.parametrize(
    ("level", "kernel"), [(level, kernel) for level, codes in KERNELS.items() for kernel in codes.split()]
)
def test_codes_of_kernels(level, kernel):
    assert sharpness(kernel, "") == level


@pytest.mark.parametrize(
    ("kernel", "description", "level"),
    [
        ("", "Head 2.5 H70h", SHARP),
        ("", "Axial Bone", SHARP),
        ("", "Head brain 5mm", SOFT),
        ("H31s", "Bone window", SOFT),  # a window is not a kernel
        ("STANDARD", "Bone", SOFT),
        ("C", "Bone", SHARP),
        ("J40s\\3", "", SOFT),
        ("Hr64h 3", "", SHARP),
        ("", "Sinus", UNKNOWN),
    ],
)
def test_the_tag_goes_before_the_description(kernel, description, level):
    assert sharpness(kernel, description) == level


@pytest.mark.parametrize(
    "text", ["CTP 10mm", "VPCT", "Tmax", "CBF", "MIP sag", "VRT", "Dose Report", "PreMonitoring", "TestBolus", "4D"]
)
def test_what_is_no_series_to_be_read_for_blood(text):
    assert is_odd(text)


@pytest.mark.parametrize("text", ["Head 5.0 H31s", "CTA 0.6", "Axial 3D recon", "Bone", "Vertex", "Mapped", ""])
def test_what_is_one(text):
    assert not is_odd(text)


def test_planes_by_their_words():
    assert all(map(is_across, ["Head cor", "SAG 3mm", "Coronal", "MPR sagittal"]))
    assert not any(map(is_across, ["Axial", "Cortex", "CORTEX 3", "Head"]))


@pytest.mark.parametrize(
    ("description", "part", "head"),
    [
        ("", "", True),
        ("", "HEAD", True),
        ("", "SKULL", True),
        ("", "HEADNECK", True),
        ("", "CHEST", False),
        ("", "CSPINE", False),
        ("Thorax 5.0", "", False),
        ("Schädel 5.0", "NECK", True),
        ("C-Spine", "HEAD", False),
        ("Facial bones", "HEAD", False),
        ("5.0 H31s", "ABDOMEN", False),
    ],
)
def test_the_part_of_the_body(description, part, head):
    assert is_head(description, part) is head


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Head 5.0 H31s", "Head 5.0 H31s"),
        ("CT Head W/O Contrast 5mm", "CT Head W/O Contrast 5mm"),
        ("Schädel nativ 4.8 H31s", "Schädel nativ 4.8 H31s"),
        ("AXIAL_BRAIN_0.625x0.625mm", "AXIAL BRAIN 0.625x0.625mm"),
        ("DOE^JANE 19500312 Head", "Head"),
        ("Head Mr Smith", "Head"),
        ("Müller, Head", "Head"),
        ("12/03/1950", ""),
        ("12.03.50 5.0", ""),
        ("4711", ""),
        ("山田 Head", "Head"),
        ("<b>Head</b>", ""),
        ("\n", ""),
    ],
)
def test_only_words_of_protocols_are_shown(text, kept):
    assert printable_words(text) == kept


def test_a_kernel_is_shown_by_its_code():
    assert [printable_code(text) for text in ("Hr40h\\3", "BONEPLUS", "Smith", "Axial soft tissue")] == [
        "Hr40h 3",
        "BONEPLUS",
        "",
        "Axial soft",
    ]
