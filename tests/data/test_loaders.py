"""CT-ICH 1.3.1, RSNA 2019, Zeta renders and plain pairs: each is written by code with the known faults of the set."""

import json
import tracemalloc
from importlib import import_module

import numpy as np
import pytest

from ich_lib.data import ct_ich_nifti, open_set, pairs, read_render, read_renders, rsna
from ich_lib.data.polygons import fill, regions
from ich_lib.data.renders import fit_window
from ich_lib.data.rsna import Header, unwrap
from ich_lib.labels import LABELS, TYPES
from ich_lib.prepare.window import unwindow
from tests.sets import (
    EPIDURAL_CSV,
    SUBDURAL_CSV,
    TRACING_CSV,
    box,
    head_hu,
    points,
    rsna_lines,
    write_case,
    write_ct_ich,
    write_ct_ich_nifti,
    write_renders,
    write_rsna,
    write_rsna_slice,
    write_volume,
)

CODING = {name: i + 1 for i, name in enumerate(TYPES)}


# CT-ICH 1.3.1


@pytest.mark.parametrize("order", ["LAS", "RAS", "LPI"])
def test_a_head_looks_the_same_whatever_order_its_file_has(tmp_path, order):
    table = ct_ich_nifti(write_ct_ich_nifti(tmp_path, {49: ["", "", "epidural", ""]}, order=order))
    assert [table.hu(z)[12, 12] for z in range(4)] == [60, 61, 62, 63]  # foot to head
    assert table.hu(0)[4, 11] == 40  # nose up
    assert table.hu(0)[9, 18] == 50  # the left ear on the viewer's right
    assert table.labels[:, -1].tolist() == [False, False, True, False]
    assert np.argwhere(table.truth(2))[[0, -1]].tolist() == [[6, 14], [7, 17]]
    assert not table.truth(1).any()
    assert table.slice.tolist() == [1, 2, 3, 4]
    assert not table.report


def test_facts_come_from_demographics_with_two_lines_of_headings(tmp_path):
    table = ct_ich_nifti(write_ct_ich_nifti(tmp_path, {49: ["", ""], 130: ["epidural"]}))
    assert table.facts["age"].tolist() == [39, 39, 120]
    assert table.patients == ["049", "130"]


def test_a_scan_read_slice_by_slice_is_opened_once_and_its_pictures_can_be_written_into(tmp_path, monkeypatch):
    module = import_module("ich_lib.data.ct_ich_nifti")  # in the package, this name is the function
    opened = []
    monkeypatch.setattr(module, "hu_volume", lambda path, read=module.hu_volume: opened.append(path.name) or read(path))
    table = ct_ich_nifti(write_ct_ich_nifti(tmp_path, {49: ["", "epidural"], 50: [""]}))
    assert opened == []
    table.hu(0)[:] = 0
    for row in (0, 1, 0, 1):
        table.truth(row)
        assert table.hu(row)[12, 12] == 60 + row
    table.hu(2)
    table.hu(0)
    assert opened == ["049.nii", "050.nii", "049.nii"]


def test_a_scan_that_is_cut_short_leaves_with_all_its_labels(tmp_path):
    folder = write_ct_ich_nifti(tmp_path, {49: ["", "epidural"], 50: [""]})
    path = folder / "ct_scans" / "049.nii"
    path.write_bytes(path.read_bytes()[:-100])
    table = ct_ich_nifti(folder)
    assert table.patients == ["050"]
    assert table.report.corrupt == ("049/1", "049/2")


def test_lines_without_a_scan_and_a_scan_without_lines_are_named(tmp_path):
    folder = write_ct_ich_nifti(tmp_path, {49: ["", ""], 50: [""]})
    (folder / "ct_scans" / "050.nii").unlink()
    (folder / "masks" / "050.nii").unlink()
    write_volume(folder / "ct_scans" / "051.nii", head_hu(3))
    table = ct_ich_nifti(folder)
    assert (table.report.missing, table.report.inconsistent) == (("050/1",), ("051",))


def test_a_line_beyond_the_scan_is_missing_and_a_slice_without_a_line_is_not_taken_for_clean(tmp_path):
    folder = write_ct_ich_nifti(tmp_path, {49: ["", "", ""]})
    csv = folder / "hemorrhage_diagnosis_raw_ct.csv"
    csv.write_bytes(csv.read_bytes().replace(b"49,2,", b"49,9,"))
    table = ct_ich_nifti(folder)
    assert table.names == ["049/1", "049/3"]
    assert (table.report.missing, table.report.inconsistent) == (("049/9",), ("049/2",))


def test_a_mask_without_its_label_or_a_label_without_its_mask_is_nobodys_truth(tmp_path):
    folder = write_ct_ich_nifti(tmp_path, {49: ["", "epidural", ""]})
    mask = np.zeros(head_hu(3).shape, np.uint8)
    mask[0, 6:8, 14:18] = 255
    write_volume(folder / "masks" / "049.nii", mask)
    table = ct_ich_nifti(folder)
    assert table.report.inconsistent == ("049/1", "049/2")
    assert table.outlined.tolist() == [False, False, True]


@pytest.mark.parametrize("fault", ["size", "place", "gone"])
def test_a_mask_that_does_not_lie_on_its_scan_is_not_used(tmp_path, fault):
    folder = write_ct_ich_nifti(tmp_path, {49: ["", "epidural"]})
    path = folder / "masks" / "049.nii"
    mask = np.ones(head_hu(2).shape, np.uint8)
    if fault == "size":
        write_volume(path, mask[:, 2:])
    elif fault == "place":
        write_volume(path, mask, shift_mm=3)
    else:
        path.unlink()
    table = ct_ich_nifti(folder)
    assert table.outlined.tolist() == [True, False]
    assert "049/2" in table.report.inconsistent
    assert not table.truth(0).any()


def test_a_mask_that_does_not_say_where_it_lies_lies_where_its_scan_does(tmp_path):
    folder = write_ct_ich_nifti(tmp_path, {49: ["", "epidural"]})
    mask = np.zeros(head_hu(2).shape, np.uint8)
    mask[1, 6:8, 14:18] = 255
    write_volume(folder / "masks" / "049.nii", mask, coded=False)
    table = ct_ich_nifti(folder)
    assert np.argwhere(table.truth(1))[0].tolist() == [6, 14]
    assert not table.report


# RSNA 2019

THREE = [
    {"image": "ID_00000000a", "patient": "ID_p1", "series": "ID_se1", "z_mm": 20.0, "kinds": ("subdural",)},
    {"image": "ID_00000000b", "patient": "ID_p1", "series": "ID_se1", "z_mm": 10.0},
    {"image": "ID_00000000c", "patient": "ID_p0", "series": "ID_se2", "z_mm": 0.0, "kinds": ("epidural", "subdural")},
]


def test_six_lines_an_image_become_one_row_and_patient_and_place_come_from_the_header(tmp_path):
    table = rsna(write_rsna(tmp_path, THREE, newline="\r\n"))
    assert table.facts["image"].tolist() == ["ID_00000000c", "ID_00000000b", "ID_00000000a"]
    assert table.patient.tolist() == ["ID_p0", "ID_p1", "ID_p1"]
    assert table.names == ["ID_se2/0", "ID_se1/0", "ID_se1/1"]
    assert [[n for n, v in zip(LABELS, row, strict=True) if v] for row in table.labels] == [
        ["epidural", "subdural", "any"],
        [],
        ["subdural", "any"],
    ]
    assert table.outlined.tolist() == [False, True, False]
    assert (table.hu(0)[0, 0], table.hu(0)[5, 5]) == (-1000, 40)
    assert not table.truth(1).any()
    assert not table.report


def test_slices_run_along_their_normal_and_not_along_z(tmp_path):
    """Columns run downward at 70 degrees. The normal (0, -0.94, 0.34) points to the front, so the order is front to
    back."""
    axes = (1, 0, 0, 0, 0.34202, 0.93969)
    places = {"a": (20.0, 0.0), "b": (-20.0, 5.0), "c": (0.0, 0.0)}  # y_mm, z_mm; 18.8, -20.5 and 0 along the normal
    images = [
        {"image": f"ID_00000000{c}", "patient": "ID_p", "series": "ID_se1", "y_mm": y, "z_mm": z, "axes": axes}
        for c, (y, z) in places.items()
    ]
    assert rsna(write_rsna(tmp_path, images)).facts["image"].tolist() == [f"ID_00000000{c}" for c in "bca"]


def test_lines_told_twice_count_once_and_lines_that_disagree_leave(tmp_path):
    repeat = rsna_lines("ID_00000000a", "subdural")
    torn = [line.replace("_epidural,1", "_epidural,0") for line in rsna_lines("ID_00000000c", "epidural", "subdural")]
    table = rsna(write_rsna(tmp_path, THREE, lines=[*repeat, *torn]))
    assert table.facts["image"].tolist() == ["ID_00000000b", "ID_00000000a"]
    assert table.report.doubled == ("ID_00000000a",)
    assert table.report.inconsistent == ("ID_00000000c",)


@pytest.mark.parametrize(
    "lines",
    [
        rsna_lines("ID_0000000ff")[:5],  # five lines
        [line.replace("_any,0", "_any,1") for line in rsna_lines("ID_0000000ff")],  # any without a type
        [line.replace("_any,1", "_any,0") for line in rsna_lines("ID_0000000ff", "epidural")],  # a type without any
    ],
)
def test_an_image_whose_lines_contradict_each_other_leaves(tmp_path, lines):
    folder = write_rsna(tmp_path, THREE, lines=lines)
    write_rsna_slice(folder / "stage_2_train" / "ID_0000000ff.dcm", patient="ID_p9", series="ID_se9", z_mm=0.0)
    table = rsna(folder)
    assert table.report.inconsistent == ("ID_0000000ff",)
    assert "ID_p9" not in table.patients


def test_lines_without_a_file_and_files_without_a_line_are_named(tmp_path):
    folder = write_rsna(tmp_path, THREE, lines=rsna_lines("ID_0000000ee"))
    write_rsna_slice(folder / "stage_2_train" / "ID_0000000dd.dcm", patient="ID_p9", series="ID_se9", z_mm=0.0)
    table = rsna(folder)
    assert (table.report.missing, table.report.inconsistent) == (("ID_0000000ee",), ("ID_0000000dd",))


def test_a_file_with_fewer_pixels_than_promised_leaves_with_its_label_and_comes_back_once_mended(tmp_path):
    """ID_6431af929.dcm of the real set has a correct header, but too few pixels."""
    folder = write_rsna(tmp_path, THREE)
    path = folder / "stage_2_train" / "ID_00000000a.dcm"
    full = path.read_bytes()
    path.write_bytes(full[:-100])
    (folder / "stage_2_train" / "ID_00000000b.dcm").write_bytes(b"torn")
    table = rsna(folder)
    assert table.report.corrupt == ("ID_00000000a", "ID_00000000b")
    assert len(table) == 1
    path.write_bytes(full)
    assert rsna(folder).report.corrupt == ("ID_00000000b",)


def test_a_header_without_a_patient_is_corrupt_rather_than_a_patient_without_a_name(tmp_path):
    table = rsna(write_rsna(tmp_path, [*THREE, {**THREE[0], "image": "ID_00000000d", "patient": ""}]))
    assert table.report.corrupt == ("ID_00000000d",)


def test_headers_are_read_once_and_an_interrupted_index_goes_on_after_its_last_whole_line(tmp_path):
    folder = write_rsna(tmp_path, THREE)
    expected = []

    def progress(images):
        expected.append(list(images))
        return images

    first = rsna(folder, progress=progress)
    assert len(expected.pop()) == 3
    index = folder / "rsna_index.csv"
    lines = index.read_bytes().splitlines(keepends=True)
    index.write_bytes(b"".join(lines[:-1]) + lines[-1][:25])
    repeat = rsna(folder, progress=progress)
    assert len(expected.pop()) == 1
    assert repeat.names == first.names
    assert rsna(folder, progress=progress).names == first.names
    assert expected == []


def test_an_interruption_keeps_what_was_read(tmp_path):
    folder = write_rsna(tmp_path, THREE)

    def interrupted(images):
        yield images[0]
        yield images[1]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rsna(folder, index=tmp_path / "elsewhere.csv", progress=interrupted)
    assert len((tmp_path / "elsewhere.csv").read_text().splitlines()) == 3
    assert not (folder / "rsna_index.csv").exists()


def test_a_strange_or_unwritable_index_is_refused_by_name(tmp_path):
    folder = write_rsna(tmp_path / "set", THREE)
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"notes.csv is not an index that ich_lib wrote"):
        rsna(folder, index=tmp_path / "notes.csv")
    with pytest.raises(ValueError, match="cannot be written"):
        rsna(folder, index=tmp_path / "no" / "folder.csv")
    assert (tmp_path / "notes.csv").read_text() == "a,b\n1,2\n"


def test_only_the_patients_asked_for_are_kept(tmp_path):
    assert rsna(write_rsna(tmp_path, THREE), patients=["ID_p0"]).patients == ["ID_p0"]


def test_negative_values_stored_as_12_bits_without_a_sign_are_unwrapped(tmp_path):
    """Air of -1000 HU is stored as 4096 - 1000 = 3096, and -1 HU as 4095."""
    hu = np.full((16, 16), 40)
    hu[0], hu[1] = 3096, 4095
    table = rsna(write_rsna(tmp_path, [{**THREE[0], "hu": hu, "intercept": 0}]))
    assert [table.hu(0)[row, 3] for row in range(3)] == [-1000, -1, 40]
    assert unwrap(np.array([3095.0, 3096.0])).tolist() == [3095, -1000]


def test_padding_outside_the_gantry_is_air(tmp_path):
    hu = np.full((16, 16), 40)
    hu[:4] = -2000
    table = rsna(write_rsna(tmp_path, [{**THREE[0], "hu": hu, "intercept": -1024, "PixelRepresentation": 1}]))
    assert table.hu(0)[0, 0] == -1024


def test_a_line_of_another_form_is_refused_with_its_number(tmp_path):
    with pytest.raises(ValueError, match="line 20 is not a line of RSNA 2019"):
        rsna(write_rsna(tmp_path, THREE, lines=["ID_00000000a_chronic,1"]))


def test_a_hundred_thousand_lines_fit_in_little_memory(tmp_path, monkeypatch):
    module = import_module("ich_lib.data.rsna")
    images = [f"ID_{i:09x}" for i in range(16_667)]
    with (tmp_path / "stage_2_train.csv").open("w") as file:
        file.write("ID,Label\n")
        file.writelines("\n".join(rsna_lines(image)) + "\n" for image in images)
    known = {
        image: Header(f"ID_p{i // 40}", f"ID_s{i // 40}", f"ID_e{i // 40}", -5.0 * (i % 40), False)
        for i, image in enumerate(images)
    }
    monkeypatch.setattr(module, "read_headers", lambda *_, **__: known)
    monkeypatch.setattr(module, "_images", lambda folder: set(images))
    tracemalloc.start()
    table = rsna(tmp_path)
    peak_mb = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    assert (len(table), len(table.patients)) == (16_667, 417)
    assert table.facts["image"][0] == "ID_000000027"  # the 40th of the first series is the lowest
    assert peak_mb < 30


# Zeta renders

EPIDURAL = ("epidural", "ID_00000000a", ("epidural",))
NORMAL = ("normal", "ID_00000000b", ())


def annotation_line(image, **columns):
    return {"Origin": f"{image}.jpg", "Labeling State": "Labeled", **columns}


def shoelace(polygon):
    """The area as a sum of the trapezoids under each edge."""
    area = 0.0
    for (x0, y0), (x1, y1) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        area += (x1 - x0) * (y0 + y1) / 2
    return abs(area)


LEFT, RIGHT = box(0.25, 0.25, 0.5, 0.5), box(0.625, 0.25, 0.75, 0.5)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (json.dumps(LEFT), 1),  # flat
        (json.dumps([LEFT]), 1),  # nested
        (json.dumps([LEFT, RIGHT]), 2),  # several regions
        (str([LEFT, RIGHT]), 2),  # single quotes, as Python writes them
        (json.dumps([LEFT, []]), 1),
        (str([json.dumps(LEFT), "[]", json.dumps(RIGHT)]), 2),  # readers whose regions are stored as text
        ("[]", 0),
        ("[[]]", 0),
        ("[[], []]", 0),
        ("['[]']", 0),
        ("nan", 0),
        ("", 0),
        (None, 0),
        (json.dumps(LEFT[:2]), 0),  # a line encloses nothing
    ],
)
def test_every_nesting_of_polygons_is_read(text, count):
    result = regions(text)
    assert len(result) == count
    if count:
        assert result[0].tolist() == [[0.25, 0.25], [0.5, 0.25], [0.5, 0.5], [0.25, 0.5]]


@pytest.mark.parametrize("text", ["left of the ear", '[{"x": 1}, {"x": 2}, {"x": 3}]', "[1, 2]", "[" * 5000])
def test_what_is_no_polygon_is_refused(text):
    with pytest.raises(ValueError, match="this is not a list of points"):
        regions(text)


@pytest.mark.parametrize("area", [40, 120, 900, 15_000])
def test_a_mask_has_the_area_of_its_polygon_by_the_shoelace_rule(area):
    rng = np.random.default_rng(area)
    for corners in (3, 5, 12, 60):
        angle = np.sort([*rng.uniform(0, 2 * np.pi, corners - 3), 0.1, 2.2, 4.3])
        corner = rng.uniform(0.6, 1, (corners, 1)) * np.stack([np.cos(angle), 0.6 * np.sin(angle)], axis=1)
        polygon = 200 + rng.uniform(0, 1, 2) + corner * np.sqrt(area / shoelace(corner.tolist()))
        mask = fill([polygon / (512, 400)], (400, 512))
        assert mask.sum() == pytest.approx(shoelace(polygon.tolist()), rel=0.01)
        assert np.argwhere(mask).mean(axis=0)[::-1] + 0.5 == pytest.approx(centroid(polygon), abs=0.3)


def centroid(polygon):
    x, y = polygon.T
    cross = x * np.roll(y, -1) - np.roll(x, -1) * y
    return [((v + np.roll(v, -1)) * cross).sum() / (3 * cross.sum()) for v in (x, y)]


def test_regions_that_overlap_count_once_and_reach_no_further_than_the_picture():
    """Two boxes of 16 x 16 that share 8 x 16, at the lower right edge."""
    mask = fill(
        [np.array([[0.5, 0.75], [0.75, 0.75], [0.75, 1.2], [0.5, 1.2]]), corners(box(0.625, 0.75, 0.875, 1))], (64, 64)
    )
    assert mask.sum() == 24 * 16
    assert mask[48:64, 32:56].all()


def corners(region):
    return np.array([[point["x"], point["y"]] for point in region])


def test_all_regions_of_all_tables_lie_in_one_mask(tmp_path):
    """System 000 saved one mask for each region and overwrote the one before."""
    low = points((0.25, 0.75), (0.5, 0.75), (0.5, 1.0), (0.25, 1.0))
    results = {
        EPIDURAL_CSV: [annotation_line("ID_00000000a", **{"Correct Label": [LEFT, RIGHT]})],
        SUBDURAL_CSV: [annotation_line("ID_00000000a", **{"Correct Label": low})],
        TRACING_CSV: [annotation_line("ID_00000000a", ROI=box(0, 0, 0.125, 0.125))],
    }
    table = read_renders(write_renders(tmp_path, [EPIDURAL, NORMAL], results=results))
    truth = table.truth(0)
    assert truth.sum() == 16 * 16 + 8 * 16 + 16 * 16 + 8 * 8
    assert truth[16:32, 16:32].all()
    assert truth[16:32, 40:48].all()
    assert truth[48:64, 16:32].all()
    assert truth[0:8, 0:8].all()
    assert not table.truth(1).any()
    assert table.outlined.tolist() == [True, True]
    assert not table.report


@pytest.mark.parametrize(
    ("columns", "width"),
    [
        ({"Correct Label": box(0, 0, 0.25, 1), "Majority Label": box(0, 0, 0.5, 1), "All Labels": box(0, 0, 1, 1)}, 16),
        ({"Correct Label": "[[]]", "Majority Label": box(0, 0, 0.5, 1), "All Labels": box(0, 0, 1, 1)}, 32),
        ({"Correct Label": "nan", "Majority Label": "[]", "All Labels": [json.dumps(box(0, 0, 1, 1)), "[]"]}, 64),
    ],
)
def test_the_correct_label_goes_before_the_majority_and_the_majority_before_all(tmp_path, columns, width):
    results = {EPIDURAL_CSV: [annotation_line("ID_00000000a", **columns)]}
    assert read_renders(write_renders(tmp_path, [EPIDURAL], results=results)).truth(0).sum() == 64 * width


def test_bleeding_that_nobody_drew_is_kept_but_not_outlined(tmp_path):
    table = read_renders(write_renders(tmp_path, [EPIDURAL], results={EPIDURAL_CSV: [annotation_line("ID_00000000a")]}))
    assert table.outlined.tolist() == [False]
    assert table.labels[0, -1]


def test_flagged_images_are_in_no_table_whoever_flagged_them(tmp_path):
    images = [EPIDURAL, ("epidural", "ID_00000000c", ("epidural",)), ("epidural", "ID_00000000d", ("epidural",))]
    results = {
        EPIDURAL_CSV: [
            annotation_line("ID_00000000a", **{"Correct Label": LEFT}),
            {"Origin": "ID_00000000c.jpg", "Labeling State": "Flagged", "Correct Label": LEFT},
            annotation_line("ID_00000000c", **{"Correct Label": LEFT}),
            annotation_line("ID_00000000d", **{"Correct Label": LEFT}),
        ]
    }
    table = read_renders(
        write_renders(tmp_path, [*images, NORMAL], results=results, flagged=["ID_00000000d", "ID_00000000b"])
    )
    assert table.facts["image"].tolist() == ["ID_00000000a"]
    assert table.report.excluded == ("ID_00000000b", "ID_00000000c", "ID_00000000d")


def test_an_image_in_progress_leaves_unless_another_line_is_done_or_asked_for(tmp_path):
    images = [EPIDURAL, ("epidural", "ID_00000000c", ("epidural",))]
    going = {"Labeling State": "In Progress", "Majority Label": LEFT}
    results = {
        EPIDURAL_CSV: [{"Origin": f"{image}.jpg", **going} for _, image, _ in images],
        SUBDURAL_CSV: [annotation_line("ID_00000000c", **{"Correct Label": RIGHT})],
    }
    folder = write_renders(tmp_path, images, results=results)
    table = read_renders(folder)
    assert table.facts["image"].tolist() == ["ID_00000000c"]
    assert table.truth(0).sum() == 8 * 16
    assert table.report.excluded == ("ID_00000000a",)
    assert read_renders(folder, unfinished=True).truth(0).sum() == 16 * 16


def test_an_image_in_two_type_folders_is_one_row(tmp_path):
    twice = [
        ("multi", "ID_00000000c", ("epidural", "subdural")),
        ("subdural", "ID_00000000c", ("epidural", "subdural")),
    ]
    table = read_renders(write_renders(tmp_path, twice))
    assert len(table) == 1
    assert table.report.doubled == ("ID_00000000c",)


def test_labels_told_twice_count_once_and_labels_that_disagree_leave(tmp_path):
    folder = write_renders(tmp_path, [EPIDURAL, NORMAL])
    with (folder / "hemorrhage-labels.csv").open("a") as file:
        file.write("ID_00000000a,1,1,0,0,0,0\r\nID_00000000b,1,0,0,0,0,1\r\n")
    table = read_renders(folder)
    assert table.facts["image"].tolist() == ["ID_00000000a"]
    assert (table.report.doubled, table.report.inconsistent) == (("ID_00000000a",), ("ID_00000000b",))


def test_folder_label_and_polygon_that_disagree_are_named(tmp_path):
    images = [
        ("normal", "ID_00000000c", ("epidural",)),
        ("epidural", "ID_00000000d", ("subdural",)),
        ("multi", "ID_00000000e", ("subdural",)),
        NORMAL,
    ]
    results = {EPIDURAL_CSV: [annotation_line("ID_00000000b", **{"Correct Label": LEFT})]}
    table = read_renders(write_renders(tmp_path, images, results=results))
    assert table.report.inconsistent == tuple(f"ID_00000000{c}" for c in "bcde")
    assert table.outlined.tolist() == [False, False, False, False]


def test_a_cell_that_is_no_polygon_is_named_and_its_slice_not_outlined(tmp_path):
    rows = [annotation_line("ID_00000000a", **{"Correct Label": text}) for text in (LEFT, "left of the ear")]
    table = read_renders(write_renders(tmp_path, [EPIDURAL], results={EPIDURAL_CSV: rows}))
    assert table.report.inconsistent == ("ID_00000000a",)
    assert not table.outlined.any()


def test_a_polygon_without_a_picture_a_picture_without_its_pair_and_one_without_a_label_are_named(tmp_path):
    results = {EPIDURAL_CSV: [annotation_line("ID_0000000ff", **{"Correct Label": LEFT})]}
    folder = write_renders(tmp_path, [EPIDURAL, NORMAL], results=results)
    (folder / "renders" / "epidural" / "subdural_window" / "ID_00000000a.jpg").unlink()
    extra = folder / "renders" / "normal" / "brain_window"
    (extra / "ID_0000000ee.jpg").write_bytes((extra / "ID_00000000b.jpg").read_bytes())
    other = folder / "renders" / "normal" / "subdural_window"
    (other / "ID_0000000ee.jpg").write_bytes((other / "ID_00000000b.jpg").read_bytes())
    table = read_renders(folder)
    assert table.facts["image"].tolist() == ["ID_00000000b"]
    assert table.report.missing == ("ID_00000000a", "ID_0000000ff")
    assert table.report.inconsistent == ("ID_0000000ee",)


def test_the_slice_known_to_be_corrupt_leaves_with_its_label(tmp_path):
    table = read_renders(write_renders(tmp_path, [NORMAL, ("normal", "ID_6431af929", ())]))
    assert table.report.corrupt == ("ID_6431af929",)
    assert len(table) == 1


def test_hu_come_from_the_brain_window_and_beyond_it_from_the_subdural_window(tmp_path):
    """Columns of -50, -10, 10, 60, 120 and 300 HU. The brain window shows 0 to 80, the subdural window -20 to 180."""
    hu = np.repeat([-50.0, -10, 10, 60, 120, 300], 16)[None].repeat(64, axis=0)
    table = read_renders(write_renders(tmp_path, [NORMAL], hu=hu))
    assert table.hu(0)[32, 8::16] == pytest.approx([-20, -10, 10, 60, 120, 180], abs=1.5)


def test_the_window_of_a_render_can_be_measured_on_the_pictures(tmp_path):
    hu = np.linspace(-100, 250, 64 * 64).reshape(64, 64)
    table = read_renders(write_renders(tmp_path, [NORMAL], hu=hu, levels={"subdural_window": (100, 254)}))
    brain = unwindow(read_render(table, 0, "brain_window") / np.float32(255), 40, 80)
    level, width = fit_window(brain, read_render(table, 0, "subdural_window"))
    assert (level, width) == (pytest.approx(100, abs=3), pytest.approx(254, abs=5))
    with pytest.raises(ValueError, match="100 are needed"):
        fit_window(brain, read_render(table, 0, "max_contrast_window") * 0)
    right = read_renders(tmp_path, subdural=(100, 254)).hu(0)
    assert np.abs(right - hu)[(hu > -20) & (hu < 220)].max() < 3


def test_every_render_of_a_row_can_be_seen_after_rows_were_taken(tmp_path):
    table = read_renders(write_renders(tmp_path, [EPIDURAL, NORMAL])).take([1])
    assert read_render(table, 0, "max_contrast_window").mean() == pytest.approx(200, abs=1)
    with pytest.raises(ValueError, match="no render 'bone'; choose from brain_bone_window"):
        read_render(table, 0, "bone")


def test_patients_are_unknown_unless_somebody_tells(tmp_path):
    folder = write_renders(tmp_path, [EPIDURAL, NORMAL], tables="Hemorrhage Segmentation Project")
    assert read_renders(folder).patient.tolist() == ["", ""]
    assert read_renders(folder, patients={"ID_00000000a": "ID_p"}).patient.tolist() == ["ID_p", ""]
    (tmp_path / "rsna_index.csv").write_text("image,patient,study\nID_00000000b,ID_q,s\n")
    assert read_renders(folder, patients=tmp_path / "rsna_index.csv").patient.tolist() == ["", "ID_q"]


def test_a_cut_off_render_leaves_with_its_label_when_the_table_is_checked(tmp_path):
    folder = write_renders(tmp_path, [EPIDURAL, NORMAL])
    path = folder / "renders" / "normal" / "subdural_window" / "ID_00000000b.jpg"
    path.write_bytes(path.read_bytes()[:-20])
    checked = read_renders(folder).drop_corrupt()
    assert checked.report.corrupt == ("ID_00000000b/0",)
    assert checked.facts["image"].tolist() == ["ID_00000000a"]


# Pairs


def coded_mask(slices=5):
    """Blood of type 5 (subdural) in slice 1, and of types 1 and 5 in slice 3."""
    values = np.zeros(head_hu(slices).shape, np.uint8)
    values[1, 6:8, 14:18] = 5
    values[3, 6:8, 14:16], values[3, 6:8, 16:18] = 1, 5
    return values


def binary_mask():
    return (coded_mask() > 0).astype(np.uint8)


LAYOUTS = {
    "side by side": ("{}.nii.gz", "{}_mask.nii.gz"),
    "side by side, seg": ("{}.nii", "{}_seg.nii"),
    "two folders": ("images/{}.nii.gz", "masks/{}.nii.gz"),
    "ct_scans": ("ct_scans/{}.nii", "masks/{}.nii"),
    "nnU-Net": ("imagesTr/{}_0000.nii.gz", "labelsTr/{}.nii.gz"),
    "a folder a case": ("{}/scan.nii.gz", "{}/mask.nii.gz"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_pairs_gives_the_same_table(tmp_path, layout):
    scan, mask = LAYOUTS[layout]
    for name, order in (("b", "RAS"), ("a", "LPI")):
        write_volume(tmp_path / scan.format(name), head_hu(), order=order)
        write_volume(tmp_path / mask.format(name), binary_mask(), order=order)
    table = pairs(tmp_path)
    assert table.names == [f"{name}/{z}" for name in "ab" for z in range(5)]
    assert table.known_labels == ("any",)
    assert table.labels[:, -1].tolist() == [False, True, False, True, False] * 2
    assert not table.labels[:, :-1].any()
    assert table.hu(7)[12, 12] == 62
    assert np.argwhere(table.truth(6))[0].tolist() == [6, 14]
    assert not table.report


def test_a_coded_mask_tells_the_types_where_its_coding_is_told(tmp_path):
    write_case(tmp_path / "a", head_hu(), coded_mask(), coding=CODING)
    table = pairs(tmp_path)
    assert table.known_labels == LABELS
    assert [[n for n, v in zip(LABELS, row, strict=True) if v] for row in table.labels[[1, 3]]] == [
        ["subdural", "any"],
        ["epidural", "subdural", "any"],
    ]
    write_case(tmp_path / "b", head_hu(), coded_mask())
    mixed = pairs(tmp_path)
    assert mixed.known_labels == ("any",)
    assert not mixed.labels[:, :-1].any()


def test_a_value_beyond_the_coding_is_nobodys_truth(tmp_path):
    values = coded_mask()
    values[2, 10, 10] = 9
    write_case(tmp_path / "a", head_hu(), values, coding=CODING)
    table = pairs(tmp_path)
    assert table.report.inconsistent == ("a/2",)
    assert table.outlined.tolist() == [True, True, False, True, True]


def test_labels_that_a_mask_contradicts_are_named(tmp_path):
    labels = np.zeros((5, 6), int)
    labels[[1, 3], 4] = labels[[1, 3, 4], 5] = labels[4, 0] = 1  # slice 3 lacks the epidural label, slice 4 has no mask
    write_case(tmp_path / "a", head_hu(), coded_mask(), coding=CODING, labels=labels)
    table = pairs(tmp_path)
    assert table.report.inconsistent == ("a/3", "a/4")
    assert table.labels[:, -1].tolist() == [False, True, False, True, True]


def test_a_scan_without_a_mask_leaves_unless_labels_speak_for_it(tmp_path):
    write_case(tmp_path / "a", head_hu(), coded_mask(), coding=CODING)
    write_case(tmp_path / "b", head_hu(), None)
    labels = np.zeros((5, 6), int)
    labels[2, [0, 5]] = 1
    write_case(tmp_path / "c", head_hu(), None, labels=labels)
    table = pairs(tmp_path)
    assert table.patients == ["a", "c"]
    assert table.report.missing == ("b",)
    assert table.outlined[table.rows(["c"])].tolist() == [True, True, False, True, True]
    assert table.known_labels == LABELS
    assert not table.truth(5).any()


def test_a_corrupt_scan_and_a_mask_of_another_size_are_told_apart(tmp_path):
    for name in "abc":
        write_case(tmp_path / name, head_hu(), coded_mask())
    (tmp_path / "a" / "scan.nii.gz").write_bytes(b"torn")
    write_volume(tmp_path / "b" / "mask.nii.gz", coded_mask()[:, 1:])
    table = pairs(tmp_path)
    assert table.patients == ["c"]
    assert (table.report.corrupt, table.report.inconsistent) == (("a",), ("b",))


def test_a_gzipped_scan_that_ends_early_leaves_when_the_table_is_checked(tmp_path):
    rng = np.random.default_rng(0)
    for name in "ab":
        write_case(tmp_path / name, head_hu() + rng.normal(0, 20, head_hu().shape), coded_mask())
    path = tmp_path / "a" / "scan.nii.gz"
    path.write_bytes(path.read_bytes()[:-2000])
    checked = pairs(tmp_path).drop_corrupt()
    assert checked.patients == ["b"]
    assert checked.report.corrupt == tuple(f"a/{z}" for z in range(5))


def test_labels_or_a_coding_of_another_form_are_refused_by_name(tmp_path):
    folder = write_case(tmp_path / "a", head_hu(), coded_mask(), coding={"chronic": 1})
    with pytest.raises(ValueError, match=r"a/case.json codes 'chronic'"):
        pairs(tmp_path)
    (folder / "case.json").unlink()
    write_case(folder, head_hu(), coded_mask(), labels=np.zeros((4, 6), int))
    with pytest.raises(ValueError, match=r"a/labels.csv must name each of the 5 slices once"):
        pairs(tmp_path)


# All of them


def test_a_set_is_known_by_its_layout(tmp_path):
    write_ct_ich(tmp_path / "one", ["50,2,0,0,0,1,0,0,1"])
    write_ct_ich_nifti(tmp_path / "two", {49: [""]})
    write_rsna(tmp_path / "three", THREE)
    write_renders(tmp_path / "four", [EPIDURAL])
    write_case(tmp_path / "five" / "a", head_hu(), coded_mask())
    result = [open_set(tmp_path / name).name for name in ("one", "two", "three", "four", "five")]
    assert result == ["CT-ICH 1.0.0", "CT-ICH 1.3.1", "RSNA 2019", "Zeta renders", "five"]


def test_a_folder_that_is_no_set_says_what_each_would_hold_and_which_folder_below_is_one(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"CT-ICH 1.0.0: hemorrhage_diagnosis.csv and Patients_CT; CT-ICH 1.3.1"
    ):
        open_set(tmp_path)
    write_rsna(tmp_path / "kaggle", THREE)
    with pytest.raises(FileNotFoundError, match="Its folder kaggle is a data set: name that"):
        open_set(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        open_set(tmp_path / "nowhere")


@pytest.mark.parametrize("read", [ct_ich_nifti, rsna, read_renders, pairs])
def test_an_empty_folder_is_refused_with_what_should_be_there(tmp_path, read):
    with pytest.raises(FileNotFoundError, match=r"holds no"):
        read(tmp_path)
