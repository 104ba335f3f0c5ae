"""Table, Report and CT-ICH 1.0.0: a synthetic folder in the layout of the set, and the real set if it is available."""

import cv2
import numpy as np
import pytest

from ich_lib.data import DataProblems, Table, ct_ich
from ich_lib.labels import LABELS
from tests.sets import write_ct_ich

GOOD = ["50,2,0,0,0,1,0,0,1", "50,1,0,0,0,0,0,1,1", "49,1,0,0,0,0,0,1,0", "49,10,0,0,0,0,0,1,0"]


class Squares:
    """Pixels whose every value is the number of the row. Rows in `broken` cannot be read."""

    def __init__(self, broken=()):
        self.broken = broken

    def hu(self, row):
        if row in self.broken:
            raise ValueError(f"slice {row} is torn.")
        return np.full((4, 4), row, np.float32)

    def mask(self, row):
        return np.full((4, 4), row % 2 == 1)

    def files(self, row):
        return ()


def table(*, broken=(), outlined=True, **changes):
    """Two patients of three slices; the odd rows bleed."""
    labels = np.zeros((6, 6), bool)
    labels[1::2, [0, 5]] = True
    columns = {
        "patient": np.array(["a"] * 3 + ["b"] * 3),
        "scan": np.array(["a1"] * 3 + ["b1"] * 3),
        "slice": np.array([1, 2, 3] * 2),
        "labels": labels,
        "outlined": np.full(6, outlined),
        "facts": {"age": np.arange(6)},
    }
    return Table(name="squares", pixels=Squares(broken), **{**columns, **changes})


def test_a_table_whose_columns_differ_in_length_is_refused():
    with pytest.raises(ValueError, match="squares: slice has 5 rows, patient has 6"):
        table(slice=np.arange(5))
    with pytest.raises(ValueError, match="age has 2 rows"):
        table(facts={"age": np.arange(2)})


def test_rows_taken_twice_over_still_show_their_own_pictures():
    part = table().take([5, 3, 1]).take([2, 0])
    assert part.names == ["a1/2", "b1/3"]
    assert [part.hu(row)[0, 0] for row in (0, 1)] == [1, 5]
    assert part.facts["age"].tolist() == [1, 5]
    assert part.truth(0).all()


def test_scans_and_patients_are_told_apart():
    full = table()
    assert [rows.tolist() for rows in full.scans()] == [[0, 1, 2], [3, 4, 5]]
    assert full.rows(["b"]).tolist() == [3, 4, 5]
    assert full.take([0, 2, 3]).bleeding() == {"a": False, "b": True}
    assert repr(full) == "Table(squares: 6 slices of 2 scans and 2 patients, 3 with blood, 6 outlined)"


def test_what_nobody_outlined_has_no_truth():
    with pytest.raises(ValueError, match="there is no outline of the blood of slice a1/2"):
        table(outlined=False).truth(1)


def test_a_corrupt_file_leaves_together_with_its_label():
    checked = table(broken=(1, 4)).drop_corrupt()
    assert checked.names == ["a1/1", "a1/3", "b1/1", "b1/3"]
    assert checked.labels[:, -1].tolist() == [False, False, True, True]
    assert checked.report.corrupt == ("a1/2", "b1/2")
    assert [checked.hu(row)[0, 0] for row in range(4)] == [0, 2, 3, 5]


def test_reports_add_up_and_say_nothing_when_all_is_well():
    assert not DataProblems()
    assert DataProblems().sentences == ()
    combined = DataProblems(missing=("a",)) + DataProblems(missing=("b",), doubled=("c",))
    assert combined.sentences == (
        "2 slices are listed without a file and left out: a, b.",
        "1 slice is listed more than once and kept once: c.",
    )


def test_a_long_report_names_the_first_and_counts_the_rest():
    (sentence,) = DataProblems(corrupt=tuple(f"n{i}" for i in range(15))).sentences
    assert "n11 and 3 more" in sentence
    assert "n12" not in sentence


def test_rows_come_in_order_of_patient_and_slice_number_with_rsna_labels(tmp_path):
    read = ct_ich(write_ct_ich(tmp_path / "set", GOOD))
    assert list(zip(read.patient, read.slice, strict=True)) == [("049", 1), ("049", 10), ("050", 1), ("050", 2)]
    assert read.labels[3].tolist() == [label in ("epidural", "any") for label in LABELS]
    assert not read.labels[:3].any()
    assert read.facts["fracture"].tolist() == [False, False, True, True]
    assert read.bleeding() == {"049": False, "050": True}
    assert not read.report


def test_pictures_come_back_as_hu_and_masks_as_bool(tmp_path):
    """Gray 128 of the brain render is 128 * 120 / 255 - 20 = 40.2 HU."""
    read = ct_ich(write_ct_ich(tmp_path / "set", GOOD))
    assert read.hu(0) == pytest.approx(np.full((16, 16), 40.2), abs=0.6)
    truth = read.truth(3)
    assert truth.sum() == 32
    assert truth[4:8, 8:16].all()
    assert not read.truth(0).any()


def test_age_and_sex_come_from_the_demographics_and_notes_below_them_are_no_patients(tmp_path):
    output = '"Patient Number","Age(years)","Gender"\n"49","35","Male"\n"50","","Female"\n"* see note","1","x"\n'
    read = ct_ich(write_ct_ich(tmp_path / "set", GOOD, demographics=output))
    assert read.facts["age"].tolist()[:2] == [35, 35]
    assert np.isnan(read.facts["age"][2:]).all()
    assert read.facts["sex"].tolist() == ["Male", "Male", "Female", "Female"]


def test_a_missing_picture_is_named_and_its_label_leaves_with_it(tmp_path):
    read = ct_ich(write_ct_ich(tmp_path / "set", GOOD, skip={(49, 10)}))
    assert len(read) == 3
    assert read.report == DataProblems(missing=("049/10",))


def test_a_slice_without_a_bone_render_is_read_from_its_brain_render_and_flagged(tmp_path):
    """Gray 128 of the brain render is -20 + 128 * 120 / 255 HU. White pixels count as bone and black pixels as air."""
    folder = write_ct_ich(tmp_path / "set", GOOD)
    (folder / "Patients_CT" / "050" / "bone" / "2.jpg").unlink()
    picture = np.full((16, 16), 128, np.uint8)
    picture[:8, :8], picture[8:, 8:] = 255, 0
    cv2.imwrite(str(folder / "Patients_CT" / "050" / "brain" / "2.jpg"), picture)
    read = ct_ich(folder)
    assert not read.report
    row = int(np.flatnonzero(~read.facts["bone_render"]).item())
    assert read.names[row] == "050/2"
    hu = read.hu(row)
    assert np.median(hu[:8, 8:]) == pytest.approx(-20 + 128 * 120 / 255, abs=0.5)
    assert np.median(hu[:8, :8]) == 1000
    assert np.median(hu[8:, 8:]) == -1000


def test_a_label_without_a_mask_is_reported_and_not_taken_for_clean(tmp_path):
    read = ct_ich(write_ct_ich(tmp_path / "set", GOOD, masks=()))
    assert read.report == DataProblems(inconsistent=("050/2",))
    assert read.outlined.tolist() == [True, True, True, False]


def test_the_inverted_column_is_held_against_the_types(tmp_path):
    lines = ["50,2,0,0,0,1,0,1,0", "50,1,0,0,0,0,0,0,0", "49,1,0,0,0,0,0,1,0"]
    with pytest.raises(ValueError, match=r"2 of 3 lines contradict themselves. Was No_Hemorrhage read as its opposite"):
        ct_ich(write_ct_ich(tmp_path / "set", lines))


def test_one_line_that_contradicts_itself_leaves_and_is_named(tmp_path):
    read = ct_ich(write_ct_ich(tmp_path / "set", [*GOOD, "51,1,0,0,0,1,0,1,0"]))
    assert read.report == DataProblems(inconsistent=("051/1",))
    assert "051" not in read.patients


def test_a_line_twice_is_kept_once_and_counted(tmp_path):
    read = ct_ich(write_ct_ich(tmp_path / "set", [*GOOD, GOOD[2]]))
    assert len(read) == 4
    assert read.report == DataProblems(doubled=("049/1",))


def test_two_lines_that_contradict_each_other_both_leave(tmp_path):
    read = ct_ich(write_ct_ich(tmp_path / "set", [*GOOD, "49,1,0,0,0,1,0,0,0"]))
    assert "049/1" not in read.names
    assert read.report == DataProblems(inconsistent=("049/1",))


def test_a_row_of_another_form_is_refused_with_its_line(tmp_path):
    with pytest.raises(ValueError, match=r"line 2 is not a row of CT-ICH"):
        ct_ich(write_ct_ich(tmp_path / "set", ["50,2,0,0,0,maybe,0,0,0"], masks=()))


def test_a_folder_without_the_table_says_how_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no hemorrhage_diagnosis.csv. Get CT-ICH 1.0.0"):
        ct_ich(tmp_path)


@pytest.mark.parametrize("damage", [lambda full: b"not a picture", lambda full: full[:200]])
def test_an_unreadable_or_cut_off_picture_leaves_with_its_label(tmp_path, damage):
    folder = write_ct_ich(tmp_path / "set", GOOD)
    path = folder / "Patients_CT" / "049" / "brain" / "1.jpg"
    path.write_bytes(damage(path.read_bytes()))
    read = ct_ich(folder)
    with pytest.raises(ValueError, match=r"049/brain/1.jpg is not a readable picture|049/brain/1.jpg ends too early"):
        read.hu(0)
    assert read.drop_corrupt().report.corrupt == ("049/1",)
    assert len(read.drop_corrupt()) == 3


def test_the_real_set_holds_what_its_paper_says(ct_ich_folder):
    """Counts of this copy: 66 patients, 29 with blood, 12 slices without a picture, a mask for every bleeding slice.

    13 slices have no bone render, and every one of them bleeds.
    """
    read = ct_ich(ct_ich_folder)
    assert (len(read.patients), sum(read.bleeding().values())) == (66, 29)
    assert len(read.report.missing) == 12
    without = ~read.facts["bone_render"]
    assert (len(read), int(without.sum()), int(read.labels[without, -1].sum())) == (2000, 13, 13)
    assert not read.report.inconsistent
    assert read.outlined.all()
    hu = read.hu(read.rows(["049"])[15])
    assert 20 < np.median(hu[(hu > 0) & (hu < 80)]) < 45
