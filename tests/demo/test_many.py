"""Several studies in one upload: the list of studies, their rows, and a CSV in which no spreadsheet finds a formula."""

import csv
import io
import zipfile

import numpy as np
import pytest

from ich_lib.archive.score import COLUMNS, score
from ich_lib.demo import many, session, viewer
from ich_lib.phantoms import phantom
from ich_lib.reports import write_nifti
from ich_lib.words.page import PageProblem
from tests.browsing import MOUNT, tab

UNKNOWN = (session.UNKNOWN_WINDOW, None, None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two scans, a mask of the first, and zips of them."""
    folder = tmp_path_factory.mktemp("studies")
    for name, seed, slices in (("one", 1, 3), ("two", 2, 4)):
        case = phantom(seed, bleeds=["epidural"], slices=slices, thickness_mm=30, pixels=64)
        write_nifti(folder / f"{name}.nii.gz", np.round(case.scan.hu).astype(np.int16), case.scan)
        write_nifti(folder / f"{name}_mask.nii.gz", case.truth.astype(np.uint8), case.scan)
    for name, inside in (("both.zip", ("one", "two")), ("alone.zip", ("one",))):
        with zipfile.ZipFile(folder / name, "w") as archive:
            for one in inside:
                archive.write(folder / f"{one}.nii.gz", f"all/{one}.nii.gz")
    return folder


UPLOADS = {
    "two scans": (["one.nii.gz", "two.nii.gz"], [("one.nii.gz", None), ("two.nii.gz", None)]),
    "two scans and a mask": (
        ["one.nii.gz", "one_mask.nii.gz", "two.nii.gz"],
        [("one.nii.gz", None), ("two.nii.gz", None)],
    ),
    "a scan and its mask": (["one.nii.gz", "one_mask.nii.gz"], []),
    "one scan": (["one.nii.gz"], []),
    "a zip of two": (["both.zip"], [("all/one.nii.gz", "all/one.nii.gz"), ("all/two.nii.gz", "all/two.nii.gz")]),
    "a zip of one": (["alone.zip"], []),
    "a zip and a scan": (["alone.zip", "two.nii.gz"], [("alone.zip", None), ("two.nii.gz", None)]),
    "a file that is gone": (["nowhere.zip"], []),
}


@pytest.mark.parametrize(("names", "expected"), UPLOADS.values(), ids=UPLOADS)
def test_which_studies_an_upload_holds(folder, names, expected):
    studies = many.list_upload([str(folder / name) for name in names])
    assert [(study.name, study.part) for study in studies] == expected


def test_more_studies_than_the_page_takes_are_refused(folder, monkeypatch):
    monkeypatch.setattr(many, "MOST_STUDIES", 1)
    with pytest.raises(PageProblem, match=r"2 studies\. The limit is 1\."):
        many.list_upload([str(folder / "both.zip")])


def test_a_row_is_the_line_of_the_archive_and_a_study_that_cannot_be_read_has_its_reason(folder, models):
    studies = [
        *many.list_upload([str(folder / "both.zip")]),
        many.Study("gone", (str(folder / "both.zip"),), "nowhere"),
    ]
    rows = list(many.score_studies(studies, models, UNKNOWN, lambda: True))
    expected = score(str(folder / "one.nii.gz"), "shipped")
    same = ("finding", "slices", "bleeding_slices", "volume_ml", "doubts", "weights")
    assert {name: rows[0][name] for name in same} == {name: expected[name] for name in same}
    assert rows[0]["any"] == pytest.approx(expected["any"], abs=1e-6)
    assert rows[0]["sentences"]["en"] == expected["sentence"]
    assert [row["slices"] for row in rows] == [3, 4, None]
    assert (rows[2]["finding"], rows[2]["error"]) == ("failed", "missing")
    assert rows[2]["sentence"].startswith("The upload holds no such study")
    table = list(csv.DictReader(io.StringIO(many.as_csv(rows))))
    assert list(table[0]) == list(COLUMNS)
    assert [row["study"] for row in table] == ["all/one.nii.gz", "all/two.nii.gz", "gone"]
    assert many.table_payload(studies, rows)["rows"][2]["failed"]


def test_scoring_ends_where_nobody_waits_any_more(folder, models):
    studies = many.list_upload([str(folder / "both.zip")])
    assert list(many.score_studies(studies, models, UNKNOWN, lambda: False)) == []


def test_on_a_phone_each_study_can_be_opened_without_scrolling_sideways(browser):
    found = {"sentences": {"en": "Bleeding likely on 7 of 34 slices, about 31 mL, pattern most like epidural."}}
    row = {"study": "", "finding": "bleeding", "any": 0.9, "volume_ml": 31.0, "warnings": [], "seconds": 5.0} | found
    studies = [many.Study("a_head_with_a_long_name.nii.gz", (), None), many.Study("b", (), None)]
    parts = viewer.studies_html()
    with tab(browser, viewport={"width": 390, "height": 844}) as page:
        page.set_content(f"<div id='here'>{parts.html_template}</div><style>#here {{ {parts.css_template} }}</style>")
        page.evaluate(MOUNT, [parts.js_on_load, many.table_payload(studies, [row, row])])
        for button in page.locator(".studies tbody button").all():
            box = button.bounding_box()
            assert box["x"] + box["width"] <= 390 - 20


@pytest.mark.parametrize("name", ["=1+1", "+cmd", "-1", "@x", "\tx"])
def test_a_name_that_is_a_formula_is_text_in_the_csv(name):
    assert next(csv.DictReader(io.StringIO(many.as_csv([{"study": name}]))))["study"] == f"'{name}"
