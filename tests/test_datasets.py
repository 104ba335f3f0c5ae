"""CT-ICH 1.0.0: a folder written by code in the set's own layout, and the real one where it is there."""

import cv2
import numpy as np
import pytest

from ich_lib.datasets import ct_ich
from ich_lib.labels import LABELS

HEADER = (
    "PatientNumber,SliceNumber,Intraventricular,Intraparenchymal,Subarachnoid,Epidural,Subdural,"
    "No_Hemorrhage,Fracture_Yes_No"
)


def write_set(folder, lines, *, skip=(), masks=((50, 2),)):
    """`lines` of the diagnosis table and their pictures, except those in `skip`."""
    folder.mkdir(exist_ok=True)
    (folder / "hemorrhage_diagnosis.csv").write_text("\ufeff" + "\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    for line in lines:
        number, index = (int(v) for v in line.split(",")[:2])
        for kind, gray in (("brain", 128), ("bone", 72)):
            place = folder / "Patients_CT" / f"{number:03d}" / kind
            place.mkdir(parents=True, exist_ok=True)
            if (number, index) not in skip:
                cv2.imwrite(str(place / f"{index}.jpg"), np.full((16, 16), gray, np.uint8))
    for number, index in masks:
        mask = np.zeros((16, 16), np.uint8)
        mask[4:8, 8:16] = 255
        cv2.imwrite(str(folder / "Patients_CT" / f"{number:03d}" / "brain" / f"{index}_HGE_Seg.jpg"), mask)
    return folder


GOOD = ["50,2,0,0,0,1,0,0,1", "50,1,0,0,0,0,0,1,1", "49,1,0,0,0,0,0,1,0", "49,10,0,0,0,0,0,1,0"]


def test_rows_come_in_order_of_patient_and_slice_number_with_rsna_labels(tmp_path):
    table = ct_ich(write_set(tmp_path / "set", GOOD))
    assert list(zip(table.patient, table.slice, strict=True)) == [("049", 1), ("049", 10), ("050", 1), ("050", 2)]
    assert table.labels[3].tolist() == [label in ("epidural", "any") for label in LABELS]
    assert not table.labels[:3].any()
    assert table.fracture.tolist() == [False, False, True, True]
    assert table.bleeding() == {"049": False, "050": True}
    assert table.report == ()


def test_pictures_come_back_as_hu_and_masks_as_bool(tmp_path):
    """Gray 128 of the brain render is 128 * 120 / 255 - 20 = 40.2 HU."""
    table = ct_ich(write_set(tmp_path / "set", GOOD))
    assert table.hu(0) == pytest.approx(np.full((16, 16), 40.2), abs=0.6)
    truth = table.truth(3)
    assert truth.sum() == 32
    assert truth[4:8, 8:16].all()
    assert not table.truth(0).any()


def test_a_missing_picture_is_named_and_its_label_leaves_with_it(tmp_path):
    table = ct_ich(write_set(tmp_path / "set", GOOD, skip={(49, 10)}))
    assert len(table) == 3
    assert table.report == ("1 slices of the table have no picture and are left out: 049/10.",)


def test_a_label_without_a_mask_is_reported(tmp_path):
    table = ct_ich(write_set(tmp_path / "set", GOOD, masks=()))
    assert "050/2" in table.report[0]


def test_the_inverted_column_is_held_against_the_types(tmp_path):
    with pytest.raises(ValueError, match=r"line 2: No_Hemorrhage=1 contradicts the five types"):
        ct_ich(write_set(tmp_path / "set", ["50,2,0,0,0,1,0,1,0"]))


def test_a_row_twice_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"line 3: patient 49 slice 1 is there twice"):
        ct_ich(write_set(tmp_path / "set", [GOOD[2], GOOD[2]], masks=()))


def test_a_row_of_another_form_is_refused_with_its_line(tmp_path):
    with pytest.raises(ValueError, match=r"line 2 is not a row of CT-ICH 1.0.0"):
        ct_ich(write_set(tmp_path / "set", ["50,2,0,0,0,maybe,0,0,0"], masks=()))


def test_a_folder_without_the_table_says_how_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no hemorrhage_diagnosis.csv. Download CT-ICH 1.0.0"):
        ct_ich(tmp_path)


def test_an_unreadable_picture_is_named(tmp_path):
    folder = write_set(tmp_path / "set", GOOD)
    (folder / "Patients_CT" / "049" / "brain" / "1.jpg").write_bytes(b"not a picture")
    with pytest.raises(ValueError, match=r"049/brain/1.jpg is not a readable picture"):
        ct_ich(folder).hu(0)


def test_the_real_set_holds_what_its_paper_says(ct_ich_folder):
    """Counts of this copy: 66 patients, 29 with blood, 25 slices without a picture, a mask for every bleeding slice."""
    table = ct_ich(ct_ich_folder)
    assert (len(table.patients), sum(table.bleeding().values())) == (66, 29)
    assert [sentence.split()[0] for sentence in table.report] == ["25"]
    masked = [path is not None for path in table.mask]
    assert masked == table.labels[:, -1].tolist()
    hu = table.hu(table.rows(["049"])[15])
    assert 20 < np.median(hu[(hu > 0) & (hu < 80)]) < 45
