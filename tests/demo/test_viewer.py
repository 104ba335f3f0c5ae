"""The data for the browser: the numbers of the synthetic result must be in the text that the browser gets."""

import base64
import json
import re
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ich_lib.demo import viewer
from ich_lib.demo.viewer import payload, unpack, unpack_blood
from ich_lib.prediction.engine import load
from ich_lib.words import result_sentence, unsure_sentence, volume_sentence
from tests.viewed import BLEED, SHAPE, SMALL_BLEED, doubtful_result, result


def slice_of(picture: dict, k: int) -> tuple[np.ndarray, np.ndarray]:
    """HU and blood levels of one slice of a payload."""
    size = picture["rows"], picture["columns"]
    return unpack(picture["slices"][k], *size) * picture["scale"] + picture["offset"], unpack_blood(
        picture["blood"][k], *size
    )


def heat_of(picture: dict, k: int) -> np.ndarray:
    return np.frombuffer(zlib.decompress(base64.b64decode(picture["heat"][k])), np.uint8).reshape(picture["heat_size"])


def test_every_hounsfield_unit_comes_out_as_it_went_in():
    planted = result()
    view = payload(planted)
    for k in range(SHAPE[0]):
        np.testing.assert_array_equal(slice_of(view, k)[0], planted.scan.hu[k])


@pytest.mark.parametrize("extreme", [-1024, 3071, 30000])
def test_jumps_between_the_ends_of_the_scale_survive_the_guess_from_neighbors(extreme):
    hu = np.where(np.indices((1, 6, 7)).sum(axis=0) % 2, extreme, -1024).astype(np.float32)
    planted = replace(result(), scan=replace(result().scan, hu=hu), blood=np.zeros(hu.shape, np.float16))
    values = unpack(viewer.pack(viewer.quantize_hu(hu[0], 1.0)), 6, 7)
    np.testing.assert_array_equal(values - 1024.0, planted.scan.hu[0])


def test_a_picture_of_one_narrow_window_keeps_all_of_its_256_grays():
    grays = np.arange(256, dtype=np.float32).reshape(1, 16, 16) * np.float32(80 / 255)
    planted = result()
    planted = replace(
        planted,
        scan=replace(planted.scan, hu=grays),
        blood=np.zeros(grays.shape, np.float16),
        heat=np.zeros(grays.shape, np.float16),
        slice_scores=planted.slice_scores[:1],
    )
    hu, _ = slice_of(payload(planted), 0)
    assert len(np.unique(hu)) == 256
    np.testing.assert_allclose(hu, grays[0], atol=1 / 16)


def test_the_browsers_mask_is_exactly_the_mask_also_a_hair_beside_the_threshold():
    planted = result()
    near = np.float16(0.37)
    hair = np.float16([np.nextafter(near, np.float16(0)), near, np.nextafter(near, np.float16(1)), 0, 1])
    planted.blood[0, 0, :5] = hair
    planted = replace(planted, threshold=0.37)
    view = payload(planted)
    for k in range(SHAPE[0]):
        np.testing.assert_array_equal(slice_of(view, k)[1] >= view["threshold"], planted.mask[k])


def test_the_planted_probability_comes_out_in_255ths():
    _, blood = slice_of(payload(result()), 3)
    assert set(np.unique(blood[BLEED[1:]])) == {int(np.float32(np.float16(0.9)) * 255)}
    assert np.count_nonzero(blood) == 12 * 18


def test_the_patients_left_is_on_the_viewers_right_and_the_letters_say_so():
    view = payload(result())
    _, blood = slice_of(view, 3)
    rows, columns = np.nonzero(blood >= view["threshold"])
    assert columns.min() == 52  # of 80: right half
    assert columns.max() == 69
    assert (rows.min(), rows.max()) == (8, 19)  # of 60: upper half
    assert view["letters"] == {"x": ["R", "L"], "y": ["A", "P"], "z": ["S", "I"]}


def test_the_viewer_opens_at_the_slice_with_most_blood_and_marks_all_that_have_some():
    view = payload(result())
    assert view["start"] == 3
    assert view["marked"] == [False, True, False, True, False]


def test_without_blood_the_viewer_opens_in_the_middle():
    planted = result()
    view = payload(replace(planted, blood=np.zeros_like(planted.blood)))
    assert (view["start"], any(view["marked"])) == (2, False)


def test_heat_is_small_on_one_scale_and_highest_where_it_was_planted():
    view = payload(result())
    assert view["heat_size"] == [48, 64]  # 60 x 80 pixels, at most 64 wide
    hot = heat_of(view, 3)
    assert hot.max() == pytest.approx(255 * 0.8, abs=1)
    rows, columns = np.nonzero(hot > 150)
    assert rows.mean() / 48 == pytest.approx((8 + 20) / 2 / 60, abs=0.03)
    assert columns.mean() / 64 == pytest.approx((52 + 70) / 2 / 80, abs=0.03)
    assert heat_of(view, 0).max() == 0


def test_a_scale_bar_needs_a_known_spacing():
    assert payload(result())["pixel_mm"] == [0.5, 0.25]
    unknown = payload(result(spacing_known=False))
    assert unknown["pixel_mm"] is None
    assert unknown["report"]["volume"]["en"] == "Volume unknown: the file carries no trusted spacing."


def test_milliliters_stand_with_the_spacing_they_rest_on():
    voxels = 12 * 18 + 6 * 8
    message = payload(result())["report"]["volume"]["en"]
    assert message.startswith(f"{voxels * 5 * 0.5 * 0.25 / 1000:.1f} mL marked")
    assert "0.25 x 0.50 mm" in message
    assert "5.0 mm apart" in message


def test_an_empty_mask_claims_no_milliliters():
    planted = result()
    message = payload(replace(planted, blood=np.zeros_like(planted.blood)))["report"]
    assert message["volume"]["en"] == "No voxel is marked as blood."


def test_the_six_scores_keep_their_names_colors_and_numbers_with_any_first():
    scores = payload(result())["report"]["scores"]
    assert [(score["name"], score["scan"]) for score in scores] == [
        ("any bleeding", 0.8), ("epidural", 0.1), ("intraparenchymal", 0.2),
        ("intraventricular", 0.3), ("subarachnoid", 0.4), ("subdural", 0.6),
    ]  # fmt: skip
    assert len({score["color"] for score in scores}) == 6
    assert scores[0]["slices"] == pytest.approx([0.3, 0.8, 0.3, 0.8, 0.3])


def test_warnings_model_and_notice_travel_as_plain_text():
    report = payload(result(warnings=["Slice 2 is <b>odd</b>."]), origin={"en": "From a test."})["report"]
    assert report["warnings"] == [{"en": "Slice 2 is <b>odd</b>."}]
    assert report["models"] == ["planted 01234567"]
    assert report["origin"] == {"en": "From a test."}
    assert "Not a medical device" in report["notice"]


def test_the_truth_travels_as_bits_and_comes_out_as_it_went_in():
    truth = np.random.default_rng(2).random(SHAPE) < 0.3  # 60 x 80 pixels are 600 whole bytes
    odd = np.random.default_rng(2).random((5, 7)) < 0.5  # 35 pixels are not
    view = payload(result(), truth=truth)
    for k in range(SHAPE[0]):
        np.testing.assert_array_equal(bits_of(view["truth"][k], SHAPE[1:]), truth[k])
    np.testing.assert_array_equal(bits_of(viewer.pack_truth(odd), odd.shape), odd)
    assert "truth" not in payload(result())


def bits_of(text: str, shape: tuple[int, int]) -> np.ndarray:
    packed = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    return np.unpackbits(packed, count=shape[0] * shape[1]).reshape(shape).astype(bool)


def test_a_truth_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"shape of the scan, \(5, 60, 80\); got \(4, 60, 80\)"):
        payload(result(), truth=np.zeros((4, 60, 80), bool))


def test_a_small_truth_stays_when_a_scan_is_shrunk():
    planted = result(shape=(1, 1000, 700), spacing_mm=(5.0, 0.2, 0.3))
    truth = np.zeros(planted.scan.hu.shape, bool)
    truth[0, 401, 603] = True
    view = payload(planted, truth=truth)
    assert bits_of(view["truth"][0], (512, 358)).any()
    assert view["pixel_ml"] == pytest.approx(5 * 0.2 * 0.3 / 1000 * 700_000 / (512 * 358))


def test_a_tilted_gantry_makes_a_pixels_milliliters_smaller_than_its_edges():
    affine = result().scan.affine.copy()
    affine[1, 0] = affine[2, 0] * np.tan(np.radians(20))
    tilted = replace(result(), scan=replace(result().scan, affine=affine))
    view = payload(tilted)
    assert view["pixel_ml"] == pytest.approx(5 * 0.5 * 0.25 / 1000)
    assert view["slice_mm"] == pytest.approx(5 / np.cos(np.radians(20)))


def test_uneven_slices_are_stacked_on_an_even_grid_and_each_tells_its_slab():
    planted = result()
    uneven = replace(planted.scan, places=np.array([0, 0.5, 1, 2, 3]))
    view = payload(replace(planted, scan=uneven))
    assert view["stack"] == [0, 1, 2, 2, 3, 3, 4]
    assert view["slice_mm"] == pytest.approx(2.5)
    assert view["slabs"] == uneven.slabs.tolist() == [0.5, 0.5, 0.75, 1, 0.75]
    even = payload(planted)
    assert (even["stack"], even["slabs"], even["slice_mm"]) == ([0, 1, 2, 3, 4], [1] * 5, pytest.approx(5))


def test_windows_have_the_order_of_their_keys_and_the_files_own_is_the_fifth():
    named = [window["name"] for window in payload(result(window=(35.0, 110.0)))["windows"]]
    assert named == ["brain", "subdural", "bone", "stroke", "file"]
    assert payload(result(window=(35.0, 110.0)))["windows"][4] == {"name": "file", "level": 35.0, "width": 110.0}
    assert len(payload(result())["windows"]) == 4


def test_what_stands_beside_the_picture_is_what_the_result_says():
    planted = result()
    message = payload(planted)["report"]
    assert dict(message["ml"]) == {"mask": planted.volume_ml, "soft": planted.soft_ml, "abc2": planted.abc2_ml}
    assert [score["word"] for score in message["scores"]][:2] == ["likely", "unlikely"]  # 0.8 and 0.1
    assert (message["unsure"], message["doubts"]["en"], message["strangeness"], message["calls"]) == (
        [],
        "",
        None,
        None,
    )
    doubtful = payload(replace(planted, disagreement=np.float32([0, 0.3, 0.2, 0, 0]), calibrated=False))["report"]
    assert doubtful["unsure"] == [1, 2]
    assert doubtful["doubts"]["en"].startswith("The model is unsure on slices 2-3")
    assert {score["word"] for score in doubtful["scores"]} == {None}
    assert payload(result(spacing_known=False))["report"]["ml"] == []


def test_what_was_found_travels_in_every_language():
    planted = replace(result(), disagreement=np.float32([0, 0.3, 0.2, 0, 0]))
    message = payload(planted)["report"]
    for name, sentence_of in (("sentence", result_sentence), ("volume", volume_sentence), ("doubts", unsure_sentence)):
        assert message[name] == {language: sentence_of(planted, language) for language in ("en", "de", "es")}
        assert len(set(message[name].values())) == 3
    assert payload(planted)["report"]["origin"] is None


def test_a_strange_scan_has_its_reason_once_and_no_finding():
    view = payload(doubtful_result())
    message = view["report"]
    assert message["withheld"]
    assert message["reasons"]["en"] == [doubtful_result().doubts[0].sentence]
    assert message["sentence"]["en"] == "No finding is given: this may be no native head CT."
    assert len(view["slices"]) == len(result().scan.hu)
    assert (view["blood"], view["heat"], view["marked"]) == (None, None, [])
    assert (message["scores"], message["ml"], message["calls"], message["strangeness"]) == ([], [], None, None)
    assert (message["volume"]["en"], message["doubts"]["en"], message["belief"]["en"]) == ("", "", "")
    assert message["warnings"] == [{"en": "Odd."}]


def test_a_strange_scan_that_is_believed_has_its_finding_and_a_mark():
    view = payload(replace(doubtful_result(), believe=True))
    assert view["blood"] == payload(result())["blood"]
    message = view["report"]
    assert message["sentence"] == payload(result())["report"]["sentence"]
    assert all("No finding" not in text for text in message["sentence"].values())
    assert message["belief"]["en"].startswith("Shown on request, although")
    assert len(set(message["belief"].values())) == 3


def test_what_a_call_is_worth_rests_on_the_card_of_the_shipped_model():
    models = load()
    calls = payload(replace(result(), model_figures=models.figures))["report"]["calls"]
    assert calls == models.classifier.card["figures"]["calls"]["whole_scans"]
    for name, right, of in (("sensitivity", 21, 29), ("specificity", 32, 37)):  # the counts in MODEL_CARD.md
        assert calls[name]["value"] == pytest.approx(right / of)
        assert calls[name]["low"] < calls[name]["value"] < calls[name]["high"]


def test_a_large_slice_is_shrunk_to_512_and_a_small_bleed_stays_on_the_screen():
    shape = (5, 1000, 700)
    planted = result(shape=shape, spacing_mm=(5.0, 0.2, 0.3))
    planted.blood[...] = 0
    planted.blood[2, 401, 603] = 0.9  # one voxel of 700 000
    view = payload(planted)
    assert (view["rows"], view["columns"]) == (512, 358)
    assert view["pixel_mm"] == pytest.approx([0.2 * 1000 / 512, 0.3 * 700 / 358])
    _, blood = slice_of(view, 2)
    rows, columns = np.nonzero(blood >= view["threshold"])
    assert rows.size >= 1
    assert rows.mean() == pytest.approx(401 * 0.512, abs=2)
    assert columns.mean() == pytest.approx(603 * 358 / 700, abs=2)
    assert view["report"]["shown"] == {"slices": 5, "rows": 1000, "columns": 700, "shrunk": True}


def test_shrinking_averages_hu_so_that_noise_falls_and_the_mean_stays():
    planted = result(shape=(5, 1024, 1024), spacing_mm=(5.0, 0.2, 0.2))
    hu, _ = slice_of(payload(planted), 0)
    middle = (slice(200, 300), slice(200, 300))
    assert hu[middle].mean() == pytest.approx(planted.scan.hu[0, 400:600, 400:600].mean(), abs=0.2)
    assert hu[middle].std() < 0.6 * planted.scan.hu[0, 400:600, 400:600].std()


def test_512_thin_slices_are_shrunk_until_the_page_can_carry_them():
    rows, columns = viewer.display_size((512, 512, 512))
    assert rows == columns == 177
    assert viewer.display_size((34, 512, 512)) == (512, 512)
    assert viewer.display_size((1, 1, 40)) == (1, 40)


def test_34_noisy_slices_of_512_stay_under_12_mb():
    planted = result(shape=(34, 512, 512), spacing_mm=(5.0, 0.5, 0.5))
    planted.scan.hu[...] += 8 * np.random.default_rng(5).standard_normal(planted.scan.hu.shape, np.float32)
    assert len(json.dumps(payload(planted))) < 12e6


def test_two_bleeds_are_two_places():  # the synthetic result itself, on which the tests above depend
    mask = result().mask
    assert mask[BLEED].all()
    assert mask[SMALL_BLEED].all()
    assert mask.sum() == 12 * 18 + 6 * 8


@pytest.mark.parametrize("name", ["viewer.html", "viewer.css", "folder.html", "folder.css"])
def test_the_page_parts_hold_no_sign_that_gradio_would_take_for_a_template(name):
    text = Path(viewer.__file__).with_name(name).read_text(encoding="utf-8")
    for sign in ("${", "{{", "}}", "`", "\\"):
        assert sign not in text


def scripts():
    return {name: Path(viewer.__file__).with_name(name).read_text(encoding="utf-8") for name in viewer.SCRIPTS}


def test_scripts_share_one_state_and_no_variable():
    for name, text in scripts().items():
        assert not re.findall(r"^(?:let|var) .*", text, re.MULTILINE)
        assert len(re.findall("^const state = ", text, re.MULTILINE)) == (name == "state.js")


def test_scripts_name_those_parts_of_the_state_that_are_declared():
    texts = scripts()
    declared = set(re.findall(r"^  (\w+): ", texts["state.js"], re.MULTILINE))
    full = "\n".join(texts.values())
    named = set(re.findall(r"\bstate\.(\w+)", full)) - {"js"}
    named |= {item for group in re.findall(r"\{ ([\w, ]+) \} = state[;,]", full) for item in group.split(", ")}
    assert named == declared


def test_a_picture_and_what_is_found_later_make_the_whole():
    planted = result()
    view, actual = viewer.scan_picture(planted.scan), viewer.findings(planted)
    full, joint = payload(planted), {**view, **actual, "report": {**view["report"], **actual["report"]}}
    assert {**joint, "id": full["id"]} == full
    assert not {"blood", "heat", "marked"} & view.keys()
    assert not {"slices", "id"} & actual.keys()
    assert viewer.overlay(view["id"], {"truth": None}) == {"to": view["id"], "truth": None}


def test_no_two_pictures_have_one_id():
    scan = result().scan
    assert viewer.scan_picture(scan)["id"] != viewer.scan_picture(scan)["id"]
