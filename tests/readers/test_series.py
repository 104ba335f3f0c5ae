"""The choice of the series in an upload. A folder holds several, as hospitals burn them; each is one HU lower than
the last."""

import numpy as np
import pytest
from pydicom.uid import generate_uid

from ich_lib.prediction.analyze import analyze
from ich_lib.readers import ReadError, child, read
from ich_lib.readers.limits import LIMITS
from ich_lib.reports import as_json
from ich_lib.words import volume_sentence
from tests.dicom_files import write_series
from tests.planted import head, laid_out

NATIVE = {"SeriesDescription": "Head 5.0 H31s", "ConvolutionKernel": "H31s", "SliceThickness": "5"}


def store(folder, name, *, hu=None, step_mm=5.0, letters="LPS", **tags):
    """One series in its own folder. Every voxel is one HU lower than in the series before it."""
    before = len(list(folder.iterdir())) if folder.exists() else 0
    values, affine = laid_out((head() if hu is None else hu) - before, letters)
    affine[:3, 2] *= step_mm / np.linalg.norm(affine[:3, 2])
    write_series(folder / name, values, affine, **{"SeriesInstanceUID": generate_uid(), **tags})
    return before


def which(folder, **options):
    """The position of the series that is read among those that were stored."""
    return round(900 - read(folder, **options).hu.max())


def note(scan, start="Read:"):
    return next(line for line in scan.notes if line.startswith(start))


THIN = np.repeat(head(), 2, axis=0)
LONGER = np.concatenate([head(), head()[-1:]])
OTHERS = {  # the difference between a longer series that must not be read and the native one
    "bone kernel": {"ConvolutionKernel": "H70h"},
    "bone kernel, thin": {"hu": THIN, "step_mm": 2.5, "SliceThickness": "2.5", "ConvolutionKernel": "H70h"},
    "bone by its words": {"SeriesDescription": "Bone 5mm", "ConvolutionKernel": None},
    "canon bone": {"ConvolutionKernel": "FC81"},
    "agent in its tag": {"ContrastBolusAgent": "IOPAMIDOL 370"},
    "agent in its name": {"SeriesDescription": "Head + C"},
    "angiography": {"SeriesDescription": "CT-Angio 5.0"},
    "with contrast, in German": {"SeriesDescription": "Schädel mit KM"},
    "coronal": {"hu": head(), "letters": "LIP"},
    "computed": {"ImageType": ["DERIVED", "SECONDARY", "MPR"]},
    "computed by its words": {"SeriesDescription": "Head MPR ax"},
    "projection": {"SeriesDescription": "Head MIP"},
    "thin": {"hu": THIN, "step_mm": 2.5, "SliceThickness": "2.5"},
    "thick": {"step_mm": 10, "SliceThickness": "10"},
    "far too long": {"hu": np.repeat(THIN, 2, axis=0)},
    "neck": {"SeriesDescription": "C-Spine 5.0"},
    "chest": {"SeriesDescription": "", "BodyPartExamined": "CHEST"},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
@pytest.mark.parametrize("first", [True, False], ids=["native first", "native last"])
def test_the_series_that_a_radiologist_would_open_for_blood_is_read(tmp_path, other, first):
    if first:
        store(tmp_path, "A", **NATIVE)
    store(tmp_path, "B", **{"hu": LONGER, **NATIVE, **other})
    if not first:
        store(tmp_path, "C", **NATIVE)
    assert which(tmp_path) == (0 if first else 1)
    assert not read(tmp_path).acquisition.contrast


def test_the_whole_head_in_thin_slices_goes_before_a_part_of_it_in_thick_ones(tmp_path):
    store(tmp_path, "A", hu=head()[:7], **NATIVE)
    store(tmp_path, "B", hu=THIN, step_mm=2.5, **NATIVE | {"SliceThickness": "2.5"})
    assert which(tmp_path) == 1


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"ConvolutionKernel": "H70h"}, {"ContrastBolusAgent": "Iodine"}),
        ({"letters": "LIP"}, {"ConvolutionKernel": "H70h"}),
        ({"hu": THIN, "step_mm": 2.5, "SliceThickness": "2.5"}, {"ImageType": ["DERIVED", "SECONDARY", "MPR"]}),
        ({"hu": THIN, "step_mm": 2.5, "SliceThickness": "2.5"}, {"step_mm": 10, "SliceThickness": "10"}),
        ({"ContrastBolusAgent": "Iodine"}, {"SeriesDescription": "CTP 5.0"}),
    ],
    ids=["contrast, kernel", "kernel, plane", "plane, thickness", "thick, thin", "perfusion, contrast"],
)
def test_what_is_worse_counts_before_what_is_less_bad(tmp_path, better, worse):
    store(tmp_path, "A", **{"hu": LONGER, **NATIVE, **worse})
    store(tmp_path, "B", **NATIVE | better)
    assert which(tmp_path) == 1


def test_of_equal_series_the_longest_is_read(tmp_path):
    store(tmp_path, "A", hu=head()[:15], **NATIVE)
    store(tmp_path, "B", **NATIVE)
    assert which(tmp_path) == 1


def test_one_note_says_which_series_was_read_and_which_were_not(tmp_path):
    store(tmp_path, "A", SeriesDescription="CTA 2.5", hu=THIN, step_mm=2.5, SeriesNumber=4)
    store(tmp_path, "B", SeriesNumber=2, **NATIVE)
    store(tmp_path, "C", SeriesDescription=None, hu=head()[:7], SeriesNumber=5)
    scan = read(tmp_path)
    assert note(scan) == (
        'Read: series 1 of 3, "Head 5.0 H31s" (18 slices, 5 mm apart, kernel H31s). Not read: series 2 of 3, "CTA 2.5" '
        "(36 slices, 2.5 mm apart); series 3 of 3 (7 slices, 5 mm apart). Another one can be chosen by its number."
    )
    assert scan.series == (
        "Head 5.0 H31s, 18 slices, 5 mm apart, kernel H31s",
        "CTA 2.5, 36 slices, 2.5 mm apart",
        "7 slices, 5 mm apart",
    )
    assert scan.series_read == 1


def test_a_name_in_a_description_is_never_shown_and_can_still_be_typed(tmp_path):
    for name, text in (("A", "DOE^JANE Head 5.0"), ("B", "Jane Doe 4711"), ("C", "Head 12.03.1950")):
        store(tmp_path, name, SeriesDescription=text)
    scan = read(tmp_path)
    for secret in ("doe", "jane", "4711", "1950", "12.03"):
        assert secret not in " ".join([*scan.notes, *scan.series]).lower()
    assert 'series 1 of 3, "Head 5.0" (18 slices' in note(scan)
    assert "series 2 of 3 (18 slices" in note(scan)
    assert which(tmp_path, series="Jane Doe 4711") == 1


@pytest.mark.parametrize("series", [2, "2", " bone  1mm ", "BONE 1MM"])
def test_a_series_is_chosen_by_its_number_or_description(tmp_path, series):
    store(tmp_path, "A", **NATIVE)
    store(tmp_path, "B", SeriesDescription="Bone 1mm", SeriesNumber=7)
    for isolated in (False, True):
        scan = read(tmp_path, series=series, isolated=isolated)
        assert (scan.series_read, scan.hu.max()) == (2, 899)
        assert note(scan).startswith('Read: series 2 of 2, "Bone 1mm"')


@pytest.mark.parametrize("series", [0, 3, -1, "7", "Scout", "", True])
def test_a_series_that_is_not_there_is_refused_with_those_that_are(tmp_path, series):
    store(tmp_path, "A", **NATIVE)
    store(tmp_path, "B", SeriesDescription="Bone 1mm")
    with pytest.raises(
        ReadError, match=r'does not hold that series, but series 1 of 2, "Head.*"Bone 1mm" \(18 slices, 5 mm'
    ) as refusal:
        read(tmp_path, series=series)
    assert refusal.value.code == "series"


@pytest.mark.parametrize("isolated", [False, True])
def test_equal_descriptions_are_told_apart_and_one_is_chosen_by_number(tmp_path, isolated):
    for name in "AB":
        store(tmp_path, name, SeriesDescription="Head", SeriesNumber=2)
    with pytest.raises(ReadError, match="holds 2 series of that description: series 1 of 2") as refusal:
        read(tmp_path, series="Head", isolated=isolated)
    endings = {place: refusal.value.in_words_of(place).rpartition(". ")[2] for place in refusal.value.to_do}
    assert endings == {
        "python": "Choose one by its number: read(path, series=1).",
        "command line": "Choose one by its number: --series 1.",
        "page": "Choose one in the list of series.",
        "endpoint": 'Choose one by its number: "1" as the series.',
    }
    assert str(refusal.value).endswith(endings["python"])
    assert [which(tmp_path, series=number) for number in (1, 2)] == [0, 1]
    assert note(read(tmp_path)).count('"Head"') == 2


def test_two_patients_in_one_folder_are_told(tmp_path):
    store(tmp_path, "A", hu=head()[:12], PatientName="Doe^Jane", PatientID="1")
    store(tmp_path, "B", PatientName="Roe^Richard", PatientID="2")
    store(tmp_path, "C", hu=head()[:12], PatientName="ROE^RICHARD ", PatientID="2")
    scan = read(tmp_path)
    assert scan.notes[0] == (
        "These are scans of 2 patients. Only one of them was read: series 2 and 3 belong to this patient."
    )
    assert scan.hu.max() == 899
    assert not any(name in " ".join(scan.notes) for name in ("Doe", "Roe", "ROE"))


def test_one_patient_whose_files_were_made_anonymous_is_one(tmp_path):
    for name in "AB":
        store(tmp_path, name, PatientName=None, PatientID=None)
    assert not any("patients" in line for line in read(tmp_path).notes)


# --- what is too large or odd --------------------------------------------------------------------------------------


def test_a_series_that_is_too_large_does_not_refuse_the_folder(tmp_path, monkeypatch):
    monkeypatch.setitem(LIMITS, "thin_slices", 20)
    store(tmp_path, "A", SeriesDescription="Bone", ConvolutionKernel="H70h")
    store(tmp_path, "B", hu=THIN, **NATIVE)
    scan = read(tmp_path)
    assert len(scan.hu) == 18
    assert not any(line.startswith("Could not be read") for line in scan.notes)  # not tried: the headers are enough
    with pytest.raises(ReadError, match="36 slices; 1 to 20 are accepted"):
        read(tmp_path, series=2)


def test_a_perfusion_series_is_seen_by_its_places_without_a_word(tmp_path):
    for time in range(4):
        uid = "1.2.3.4"
        store(tmp_path, f"P{time}", hu=head()[:16], SeriesInstanceUID=uid, SeriesDescription="Head", SeriesNumber=3)
    store(tmp_path, "N", SeriesDescription="Head", hu=head()[:17], SeriesNumber=4)
    assert which(tmp_path) == 4
    scan = read(tmp_path)
    assert "series 1 of 2" in note(scan).partition("Not read")[2]
    assert not any(line.startswith("Could not be read") for line in scan.notes)


@pytest.mark.parametrize(
    "odd",
    [{"RescaleSlope": None}, {"RescaleSlope": "0"}, {"hu": np.full((18, 24, 20), -1000.0)}, {"Rows": 12}],
    ids=["no HU", "slope of 0", "empty", "rows that are not there"],
)
def test_a_series_that_cannot_be_read_gives_way_to_the_next(tmp_path, odd):
    store(tmp_path, "A", **NATIVE | odd)
    store(tmp_path, "B", SeriesDescription="Bone", ConvolutionKernel="H70h")
    scan = read(tmp_path)
    assert scan.hu.max() == 899
    assert scan.series_read == 2
    with pytest.raises(ReadError):
        read(tmp_path, series=1)


def test_what_could_not_be_read_and_why_is_told_in_words_of_no_place(tmp_path):
    store(tmp_path, "A", hu=np.full((18, 24, 20), -1000.0), **NATIVE)
    store(tmp_path, "B", SeriesDescription="Bone", ConvolutionKernel="H70h")
    sentence = note(read(tmp_path), "Could not be read")
    assert sentence.startswith('Could not be read: series 1 of 2, "Head 5.0 H31s". ')
    assert "shows nothing: every voxel is -1000" in sentence


def test_a_damaged_file_of_a_study_is_left_out_and_counted(tmp_path):
    store(tmp_path, "A", **NATIVE)
    (tmp_path / "cut").write_bytes(bytes(128) + b"DICM" + b"\2\0\0\0UL\4\0\1\2")
    scan = read(tmp_path)
    assert len(scan.hu) == 18
    assert any("1 damaged file" in line for line in scan.notes)


# --- which slices form a series ------------------------------------------------------------------------------------


def test_slices_of_another_tilt_under_the_same_uid_form_their_own_series(tmp_path):
    write_series(tmp_path, *laid_out(head(), "LPS"))
    values, affine = laid_out(head()[:5], "LPS")
    affine[:3, 1] = 0, -0.5 * np.cos(0.3), 0.5 * np.sin(0.3)
    write_series(tmp_path, values, affine, prefix="T")
    scan = read(tmp_path)
    np.testing.assert_array_equal(scan.hu, head())
    assert "(5 slices" in note(scan)


def test_two_kernels_under_one_uid_are_two_series(tmp_path):
    store(tmp_path, "A", SeriesInstanceUID="1.2", SeriesDescription="Head", ConvolutionKernel="FC81")
    store(tmp_path, "B", SeriesInstanceUID="1.2", SeriesDescription="Head", ConvolutionKernel="FC21")
    assert which(tmp_path) == 1


def split(folder, uid_of, **tags):
    """A head whose slice k has the series UID `uid_of(k)`."""
    values, affine = laid_out(head(), "LPS")
    for k in range(18):
        own = tags | {"SeriesInstanceUID": uid_of(k), "InstanceNumber": k + 1}
        write_series(folder, values, affine, skip=set(range(18)) - {k}, prefix=f"K{k}", **own)


@pytest.mark.parametrize(
    "uid_of",
    [lambda k: f"1.2.{k + 1}", lambda k: f"1.2.{k // 3 + 1}", lambda k: f"1.2.{k % 2 + 1}"],
    ids=["one a slice", "one for three", "in turn"],
)
def test_a_head_whose_slices_carry_many_uids_is_one_series(tmp_path, uid_of):
    split(tmp_path, uid_of, SeriesDescription="Head")
    scan = read(tmp_path)
    np.testing.assert_array_equal(scan.hu, head())
    assert note(scan, "18 files have").endswith("They were read as one series because everything else agrees.")
    assert len(scan.series) == 1


def test_without_numbers_of_images_their_places_make_single_slices_a_series(tmp_path):
    values, affine = laid_out(head(), "LPS")
    for k in range(18):
        own = {"SeriesInstanceUID": f"1.2.{k + 1}", "StudyInstanceUID": f"1.3.{k + 1}", "SeriesNumber": k}
        write_series(tmp_path, values, affine, skip=set(range(18)) - {k}, prefix=f"K{k}", InstanceNumber=1, **own)
    np.testing.assert_array_equal(read(tmp_path).hu, head())


def test_two_thicknesses_with_a_uid_a_file_are_one_head_side_by_side_and_two_over_each_other(tmp_path):
    split(tmp_path / "A", lambda k: f"1.2.{k + 1}", SliceThickness="5", InstanceNumber=None)
    assert len(read(tmp_path).series) == 1
    split(tmp_path / "B", lambda k: f"1.3.{k + 1}", SliceThickness="1", SeriesNumber=8)
    assert len(read(tmp_path).series) == 2
    assert len(read(tmp_path).hu) == 18


def test_one_patient_for_each_file_is_no_scan(tmp_path):
    values, affine = laid_out(head(), "LPS")
    for k in range(4):
        own = {"SeriesInstanceUID": f"1.2.{k + 1}", "PatientID": f"{k}"}
        write_series(tmp_path, values, affine, skip=set(range(18)) - {k}, prefix=f"K{k}", **own)
    with pytest.raises(ReadError, match="4 series of one slice each"):
        read(tmp_path)


def test_single_slices_that_do_not_belong_together_are_no_scan(tmp_path):
    values, affine = laid_out(head(), "LPS")
    for k in range(4):
        tags = {"SeriesInstanceUID": f"1.2.{k + 1}", "SeriesDescription": f"Head {k}"}
        write_series(tmp_path, values, affine, skip=set(range(18)) - {k}, prefix=f"K{k}", **tags)
    with pytest.raises(ReadError, match="4 series of one slice each") as refusal:
        read(tmp_path)
    assert refusal.value.code == "several scans"
    np.testing.assert_array_equal(read(tmp_path, series=3).hu, head()[2:3])


# --- contrast and kernel of what is read ---------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["HEAD", "NECK", "CHEST", "ABDOMEN", None])
def test_contrast_is_told_and_its_agent_is_not_quoted(tmp_path, part):
    store(tmp_path, "A", ContrastBolusAgent="IOPAMIDOL", SeriesDescription="Head CE", BodyPartExamined=part)
    scan = read(tmp_path)
    assert scan.acquisition.contrast
    assert "IOPAMIDOL" not in repr((scan.notes, scan.acquisition, scan.series))


def test_with_contrast_nothing_is_believed_and_nothing_is_given_in_ml(tmp_path, models):
    store(tmp_path, "A", hu=head()[6:12], SeriesDescription="Head CE")
    result = analyze(read(tmp_path), models)
    output = as_json(result)
    assert "contrast" in [doubt.code for doubt in result.refusals]
    assert (output["volume_ml"], output["volume_soft_ml"], output["volume_abc2_ml"]) == (None, None, None)
    assert {row["mask_ml"] for row in output["slices"]} == {None}
    assert volume_sentence(result) == ""


@pytest.mark.parametrize(
    "tags", [{"ContrastBolusVolume": "75"}, {"ContrastBolusIngredient": "IODINE"}, {"ProtocolName": "CTA Head"}]
)
def test_other_tags_tell_of_contrast_too(tmp_path, tags):
    store(tmp_path, "A", SeriesDescription=None, **tags)
    assert read(tmp_path).acquisition.contrast
    assert not read_without(tmp_path / "B", tags).acquisition.contrast


def read_without(folder, tags):
    """A head whose contrast tags say that no contrast agent was given."""
    store(folder, "C", SeriesDescription=None, **dict.fromkeys(tags, "0"))
    return read(folder)


@pytest.mark.parametrize("agent", ["NONE", "none ", "No contrast", None])
def test_an_agent_that_says_none_is_none(tmp_path, agent):
    store(tmp_path, "A", ContrastBolusAgent=agent, SeriesDescription="Head")
    assert not read(tmp_path).acquisition.contrast


@pytest.mark.parametrize(("kernel", "kind"), [(["Hr64h", "3"], "sharp"), ("H31s", "soft"), ("XY", "")])
def test_the_kernel_of_the_series_is_known(tmp_path, kernel, kind):
    store(tmp_path, "A", SeriesDescription="Head", ConvolutionKernel=kernel)
    assert read(tmp_path).acquisition.kernel == kind


def test_a_child_answers_with_code_and_words_of_all_places(tmp_path):
    (tmp_path / "a.dcm").write_text("words")
    for isolated in (False, True):
        with pytest.raises(ReadError, match="plain text") as refusal:
            read(tmp_path, isolated=isolated)
        assert refusal.value.code == "no scan"
    child.end_idle()
