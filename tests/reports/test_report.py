import csv
import gzip
import json
import re
import zlib
from dataclasses import replace

import cv2
import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.uid import UID

from ich_lib import __version__
from ich_lib.labels import LABELS, TYPES
from ich_lib.notice import NOTICE
from ich_lib.phantoms import MIMICS, from_shares
from ich_lib.prediction.analyze import Result, analyze
from ich_lib.prediction.calibration import Evidence
from ich_lib.prediction.gates import SENTENCES, Doubt
from ich_lib.prediction.ood import OodScore
from ich_lib.readers import read
from ich_lib.reports import WRITERS, as_json, write
from ich_lib.scan import Scan, axial_affine, from_file_grid
from ich_lib.show import overview, paper
from ich_lib.words import (
    LANGUAGES,
    belief_sentence,
    doubt_sentence,
    in_each_language,
    phantom_sentence,
    real_head_sentence,
    result_sentence,
    threshold_sentences,
    unsure_sentence,
    verdict_sentence,
    volume_sentence,
)
from ich_lib.words.doubts import PARTS
from ich_lib.words.doubts import SENTENCES as DOUBTS
from tests.dicom_files import write_series


@pytest.fixture
def result():
    """Three slices of 5 x 0.5 x 0.4 mm; 100 voxels of blood in the middle one: 100 * 1 mm3 = 0.1 mL."""
    shape = (3, 20, 30)
    blood = np.zeros(shape, np.float16)
    blood[1, 5:10, 5:25] = 0.9
    scores = np.full((3, 6), 0.1)
    scores[1] = [0.8, 0.2, 0.1, 0.1, 0.3, 0.9]
    scan = Scan(np.full(shape, 30, np.float32), axial_affine((5, 0.5, 0.4), shape), notes=("One note.",))
    result = Evidence(scores[:, -1], scores)
    return Result(
        scan, blood, 0.5, result, scores, scores.max(axis=0), 0.5, True, blood, (("m", "ab" * 32),), scan.notes
    )


def test_result_json_has_the_promised_keys_and_plain_values(result):
    content = json.loads(json.dumps(as_json(result), allow_nan=False))
    assert set(content) == {
        "finding", "sentence", "believed_on_request", "doubts", "volume",
        "scores", "words", "slices", "unsure", "strangeness", "volume_ml", "volume_soft_ml", "volume_abc2_ml",
        "mask_pixels", "mask_threshold", "spacing_mm", "orientation",
        "warnings", "models", "notice",
    }  # fmt: skip
    assert list(content["scores"]) == list(LABELS)
    assert content["slices"][1] == {
        "slice": 2,
        "scores": dict(zip(LABELS, [0.8, 0.2, 0.1, 0.1, 0.3, 0.9], strict=True)),
        "slab_mm": 5,
        "mask_pixels": 100,
        "mask_ml": 0.1,
        "doubt": None,
    }
    assert (content["words"], content["unsure"], content["strangeness"]) == ("very likely", [], None)
    assert (content["volume_ml"], content["mask_pixels"], content["spacing_mm"]) == (0.1, 100, [5, 0.5, 0.4])
    assert (content["warnings"], content["notice"]) == (["One note."], NOTICE)
    assert content["models"] == [{"name": "m", "sha256": "ab" * 32}]


def test_doubt_and_strangeness_are_told_where_they_are_known(result):
    output = replace(result, disagreement=np.array([0, 0.25, 0.05]), ood=OodScore(2.5, 1.25, 0.95))
    content = json.loads(json.dumps(as_json(output)))
    assert [row["doubt"] for row in content["slices"]] == [0, 0.25, 0.05]
    assert content["unsure"] == [2]
    assert content["strangeness"] == {"value": 2.5, "limit": 1.25, "strange": True}
    assert as_json(replace(result, calibrated=False))["words"] is None


def test_unsure_slices_are_named_from_one_and_neighbors_together(result):
    doubt = lambda *high: replace(result, disagreement=np.isin(np.arange(20), high).astype(np.float32))  # noqa: E731
    assert (
        unsure_sentence(doubt(3, 11, 12))
        == "The model is unsure on slices 4, 12-13: the mirrored slices get different scores."
    )
    assert unsure_sentence(doubt(0)) == "The model is unsure on slice 1: the mirrored slice gets a different score."
    assert unsure_sentence(doubt()) == unsure_sentence(result) == ""


def test_without_trusted_spacing_volumes_are_null_and_pixels_stay(result):
    content = as_json(replace(result, scan=replace(result.scan, spacing_known=False)))
    assert content["volume_ml"] is content["spacing_mm"] is content["slices"][1]["mask_ml"] is None
    assert content["mask_pixels"] == 100


def test_the_sentence_says_how_many_slices_how_much_and_which_type(result):
    assert result_sentence(result) == "Bleeding likely on 1 of 3 slices, about 0.1 mL, pattern most like epidural."
    without = replace(result, scan=replace(result.scan, spacing_known=False))
    assert result_sentence(without) == "Bleeding likely on 1 of 3 slices, pattern most like epidural."
    even = replace(result, scan_scores=np.float32([0.5, 0.2, 0.1, 0.1, 0.3, 0.6]))
    assert result_sentence(even) == "Uncertain: 1 of 3 slices reaches the threshold."
    assert result_sentence(replace(even, calibrated=False)).startswith("Bleeding likely")
    low = replace(result, scan_scores=np.full(6, 0.2, np.float32))  # although one slice scores 0.9
    assert result_sentence(low) == "Uncertain: 1 of 3 slices reaches the threshold."
    clean = replace(low, slice_scores=np.full((3, 6), 0.2))
    assert result_sentence(clean) == "No bleeding found by this model, which does miss bleeds."
    assert result_sentence(replace(even, slice_scores=clean.slice_scores)) == (
        "Uncertain: no slice reaches the threshold."
    )
    likely = replace(result, slice_scores=clean.slice_scores)
    assert result_sentence(likely).startswith("Bleeding likely although no single slice reaches the threshold, about ")


def test_every_sentence_is_said_in_english_german_and_spanish(result):
    large = replace(result, scan=replace(result.scan, affine=axial_affine((9, 5, 4), (3, 20, 30))))  # 100 of 0.18 mL
    rare = replace(large, scan_scores=np.float32([0.1, 0.4, 0.1, 0.1, 0.3, 0.6]))
    single = replace(
        result,
        scan=replace(result.scan, hu=result.scan.hu[1:2], spacing_known=False),
        blood=result.blood[1:2],
        slice_scores=result.slice_scores[1:2],
    )
    low = np.full((3, 6), 0.2)
    clean = replace(result, slice_scores=low, scan_scores=low[0], blood=np.zeros_like(result.blood))
    unsure = lambda *high: replace(result, disagreement=np.isin(np.arange(20), high).astype(np.float32))  # noqa: E731
    message = [
        (result_sentence, result, {
            "en": "Bleeding likely on 1 of 3 slices, about 0.1 mL, pattern most like epidural.",
            "de": "Blutung wahrscheinlich auf 1 von 3 Schichten, etwa 0,1 mL, Muster am ehesten epidural.",
            "es": "Hemorragia probable en 1 de 3 cortes, unos 0,1 mL, "
            "con un patrón similar al de una hemorragia epidural.",
        }),
        (result_sentence, rare, {
            "en": "Uncertain: 1 of 3 slices reaches the threshold.",
            "de": "Unsicher: 1 von 3 Schichten erreicht die Schwelle.",
            "es": "Incierto: 1 de 3 cortes alcanza el umbral.",
        }),
        (result_sentence, single, {
            "en": "Bleeding likely on this slice, pattern most like epidural.",
            "de": "Blutung wahrscheinlich auf dieser Schicht, Muster am ehesten epidural.",
            "es": "Hemorragia probable en este corte, con un patrón similar al de una hemorragia epidural.",
        }),
        (result_sentence, clean, {
            "en": "No bleeding found by this model, which does miss bleeds.",
            "de": "Dieses Modell hat keine Blutung gefunden; es übersieht jedoch manche Blutungen.",
            "es": "Este modelo no encontró ninguna hemorragia, pero no detecta todas.",
        }),
        (unsure_sentence, unsure(3, 11, 12), {
            "en": "The model is unsure on slices 4, 12-13: the mirrored slices get different scores.",
            "de": "Das Modell ist bei den Schichten 4, 12-13 unsicher: Die Spiegelbilder erhalten andere Scores.",
            "es": "El modelo no está seguro en los cortes 4, 12-13: "
            "sus imágenes especulares reciben otras puntuaciones.",
        }),
        (unsure_sentence, unsure(0), {
            "en": "The model is unsure on slice 1: the mirrored slice gets a different score.",
            "de": "Das Modell ist bei Schicht 1 unsicher: Das Spiegelbild erhält einen anderen Score.",
            "es": "El modelo no está seguro en el corte 1: su imagen especular recibe otra puntuación.",
        }),
        (unsure_sentence, result, {"en": "", "de": "", "es": ""}),
        (volume_sentence, large, {
            "en": "18.0 mL marked, in voxels of 4.00 x 5.00 mm, slices 9.0 mm apart.",
            "de": "18,0 mL markiert, in Voxeln von 4,00 x 5,00 mm, Schichtabstand 9,0 mm.",
            "es": "18,0 mL marcados, en vóxeles de 4,00 x 5,00 mm, con cortes cada 9,0 mm.",
        }),
        (volume_sentence, single, {
            "en": "Volume unknown: the file carries no trusted spacing.",
            "de": "Volumen unbekannt: Die Datei enthält keine verlässlichen Abstände.",
            "es": "Volumen desconocido: el archivo no indica distancias fiables.",
        }),
        (volume_sentence, clean, {
            "en": "No voxel is marked as blood.",
            "de": "Kein Voxel ist als Blut markiert.",
            "es": "Ningún vóxel está marcado como sangre.",
        }),
    ]  # fmt: skip
    for sentence_of, output, expected in message:
        assert in_each_language(sentence_of, output) == expected


def test_a_sample_tells_its_blood_and_its_traps_in_every_language(result):
    """100 voxels of 0.18 mL: certain blood is 18 mL, blood of probability one half is 9 mL."""
    scan = replace(result.scan, affine=axial_affine((9, 5, 4), (3, 20, 30)))
    full = (result.blood > 0).astype(np.float32)
    case = from_shares(scan, {"epidural": full, "subarachnoid": full / 2}, mimics=("falx calcification", "motion"))
    assert in_each_language(phantom_sentence, case) == {
        "en": "Synthetic head (phantom). True bleed: epidural 18 mL, subarachnoid 9 mL. "
        "Includes a mimic: falx calcification, motion.",
        "de": "Synthetischer Kopf (Phantom). Tatsächliche Blutung: epidural 18 mL, subarachnoidal 9 mL. "
        "Enthält einen Befund, der Blut vortäuscht: verkalkte Falx, Bewegungsartefakt.",
        "es": "Cabeza sintética (fantoma). Hemorragia real: epidural 18 mL, subaracnoidea 9 mL. "
        "Incluye un hallazgo que simula sangre: hoz cerebral calcificada, artefacto de movimiento.",
    }
    assert in_each_language(phantom_sentence, from_shares(scan, {})) == {
        "en": "Synthetic head (phantom). True bleed: none.",
        "de": "Synthetischer Kopf (Phantom). Tatsächliche Blutung: keine.",
        "es": "Cabeza sintética (fantoma). Hemorragia real: ninguna.",
    }


def test_a_real_head_tells_its_blood_by_slices_from_1():
    labels = np.zeros((9, 6), bool)
    labels[[2, 3, 4, 7], 1] = labels[[2, 3, 4, 7], 5] = True
    assert real_head_sentence("084", labels).endswith("of CT-ICH. True bleed: intraparenchymal on slices 3-5, 8.")
    assert real_head_sentence("099", np.zeros((9, 6), bool), "de").endswith("aus CT-ICH. Tatsächliche Blutung: keine.")


@pytest.mark.parametrize(
    ("blood", "any_scores", "scan_score", "verdict"),
    [
        (
            [1, 1, 0],
            [0.9, 0.2, 0.7],
            0.9,
            "Partly found: the model calls 1 of 2 bleeding slices, and 1 of 1 clean ones.",
        ),
        ([1, 1, 0], [0.9, 0.8, 0.7], 0.9, "Found: the model calls 2 of 2 bleeding slices, and 1 of 1 clean ones."),
        (
            [1, 1, 1],
            [0.9, 0.2, 0.2],
            0.9,
            "Mostly missed: the model calls 1 of 3 bleeding slices, and 0 of 0 clean ones.",
        ),
        ([1, 1, 0], [0.2, 0.2, 0.7], 0.9, "Missed: the model calls none of 2 bleeding slices, and 1 of 1 clean ones."),
        ([1, 1, 0], [0.2, 0.2, 0.2], 0.2, "Missed: the model calls none of 2 bleeding slices, and 0 of 1 clean ones."),
        ([1, 1, 0], [0.6, 0.2, 0.2], 0.5, "Undecided: the model calls 1 of 2 bleeding slices, and 0 of 1 clean ones."),
        ([0, 0, 0], [0.2, 0.2, 0.2], 0.2, "Clean, and the model calls no bleeding."),
        ([0, 0, 0], [0.2, 0.2, 0.2], 0.5, "Clean, but the model is uncertain; it calls 0 of 3 slices."),
        ([0, 0, 0], [0.9, 0.2, 0.2], 0.9, "False alarm: there is no blood, and the model calls 1 of 3 slices."),
    ],
)
def test_the_verdict_is_what_the_model_gives(result, blood, any_scores, scan_score, verdict):
    truth = np.zeros(result.scan.hu.shape, bool)
    truth[np.array(blood, bool), 5, 5] = True
    scores, whole = np.zeros((3, 6)), np.full(6, scan_score)
    scores[:, 5] = any_scores
    assert verdict_sentence(replace(result, slice_scores=scores, scan_scores=whole), truth) == verdict


def test_at_another_threshold_the_sentences_have_places_for_ml(result):
    large = replace(result, scan=replace(result.scan, affine=axial_affine((9, 5, 4), (3, 20, 30))))
    words = threshold_sentences(large)
    assert words["headline"].replace("{about}", words["about"].replace("{ml}", "18")) == result_sentence(large)
    assert words["marked"].replace("{ml}", "18.0") == volume_sentence(large)
    assert threshold_sentences(refused(result)) == {}


def test_no_language_lacks_a_word_of_another_or_a_blank_in_it():
    def blanks(words):
        if isinstance(words, dict):
            return {name: blanks(part) for name, part in words.items()}
        assert words.strip()
        return sorted(re.findall(r"{\w+}", words))

    assert set(LANGUAGES) == {"en", "de", "es"}
    assert [blanks(words) for words in LANGUAGES.values()] == [blanks(LANGUAGES["en"])] * 3
    for words in LANGUAGES.values():
        assert (set(words["types"]), set(words["mimics"])) == (set(TYPES), set(MIMICS))


@pytest.mark.parametrize("sentence_of", [result_sentence, unsure_sentence, volume_sentence, phantom_sentence])
def test_a_language_without_sentences_is_refused_and_those_there_are_named(result, sentence_of):
    output = from_shares(result.scan, {}) if sentence_of is phantom_sentence else result
    with pytest.raises(ValueError, match="no sentences in 'fr'; choose from en, de, es"):
        sentence_of(output, "fr")


@pytest.mark.parametrize("letters", ["LAS", "RAS", "PIR", "LPS"])
def test_the_mask_lies_on_the_files_own_grid(result, letters, tmp_path):
    """For a file in any order, mask.nii.gz has its shape and its affine, and blood at the planted voxel."""
    values = np.zeros((9, 10, 11), np.float32)
    affine = nib.orientations.inv_ornt_aff(nib.orientations.axcodes2ornt(letters), values.shape)
    affine[:3] *= [[0.4], [0.5], [5]]
    values[2, 7, 4] = 60
    scan = from_file_grid(values, affine)
    written = replace(
        result,
        scan=scan,
        blood=(scan.hu == 60).astype(np.float16),
        slice_scores=np.zeros((len(scan.hu), 6), np.float32),
    )
    write(written, tmp_path)
    mask = nib.load(tmp_path / "mask.nii.gz")
    assert mask.affine == pytest.approx(affine)
    assert np.argwhere(np.asarray(mask.dataobj)).tolist() == [[2, 7, 4]]


def test_writing_gives_every_file_but_a_dicom_one_and_an_outlined_picture(result, tmp_path):
    files = write(result, tmp_path / "out")
    assert [p.name for p in files] == ["result.json", "slices.csv", "mask.nii.gz", "overview.png", "report.pdf"]
    assert sorted(files) == sorted((tmp_path / "out").iterdir())
    assert json.loads((tmp_path / "out" / "result.json").read_text()) == as_json(result)
    picture = cv2.imread(str(tmp_path / "out" / "overview.png")).astype(int)
    yellow = (picture[..., 2] > 200) & (picture[..., 1] > 190) & (picture[..., 0] < 110)
    assert yellow.sum() > 50


def test_only_the_files_asked_for_are_written(result, tmp_path):
    assert write(result, tmp_path, ["slices.csv"]) == [tmp_path / "slices.csv"]
    assert [p.name for p in tmp_path.iterdir()] == ["slices.csv"]
    with pytest.raises(ValueError, match=r"No result file is called '../x'; there are result.json, slices.csv"):
        write(result, tmp_path, ["../x"])


def test_no_file_of_an_earlier_scan_stays_beside_a_result(result, tmp_path):
    """The first head was DICOM, so it got a segmentation. The next one is NIfTI and gets none. The user's notes
    stay."""
    for name in ("mask-seg.dcm", "report.pdf", "notes.txt"):
        (tmp_path / name).write_text("of an earlier scan")
    files = write(result, tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {p.name for p in files} | {"notes.txt"}
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


def test_files_appear_together_or_not_at_all(result, tmp_path, monkeypatch):
    def fail(result, path):
        raise OSError("no space left")

    (tmp_path / "result.json").write_text("of an earlier scan")
    monkeypatch.setitem(WRITERS, "report.pdf", fail)
    with pytest.raises(OSError, match="no space left"):
        write(result, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]
    assert (tmp_path / "result.json").read_text() == "of an earlier scan"


def table_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_has_a_row_a_slice_counted_from_one(result, tmp_path):
    write(replace(result, disagreement=np.array([0, 0.25, 0])), tmp_path, ["slices.csv"])
    rows = table_of(tmp_path / "slices.csv")
    assert list(rows[0]) == [
        "slice",
        *LABELS,
        "mask_pixels",
        "mask_ml",
        "doubt",
        "finding",
        "remarks",
        "notice",
        "models",
    ]
    assert [row["slice"] for row in rows] == ["1", "2", "3"]
    assert [rows[1][name] for name in (*LABELS, "mask_pixels", "mask_ml", "doubt")] == [
        "0.8", "0.2", "0.1", "0.1", "0.3", "0.9", "100", "0.1", "0.25",
    ]  # fmt: skip
    assert {row["finding"] for row in rows} == {result_sentence(result)}
    assert {row["remarks"] for row in rows} == {""}
    assert {row["notice"] for row in rows} == {NOTICE}
    assert {row["models"] for row in rows} == {"m " + "ab" * 32}


def test_what_is_not_known_leaves_a_cell_empty(result, tmp_path):
    write(replace(result, scan=replace(result.scan, spacing_known=False)), tmp_path, ["slices.csv"])
    assert [(row["mask_ml"], row["doubt"]) for row in table_of(tmp_path / "slices.csv")] == [("", "")] * 3


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_of_the_table_is_a_formula(result, start, tmp_path):
    write(replace(result, models=((f"{start}1+1", "ab"),)), tmp_path, ["slices.csv"])
    assert table_of(tmp_path / "slices.csv")[0]["models"] == f"'{start}1+1 ab"


def test_the_masks_header_says_what_it_is_not_for(result, tmp_path):
    write(result, tmp_path, ["mask.nii.gz"])
    header = nib.load(tmp_path / "mask.nii.gz").header
    output = bytes(header["descrip"]).rstrip(b"\0").decode()
    assert output == f"Teaching only, not a medical device. ich_lib {__version__}; m abababababab"
    assert bytes(header["intent_name"]).rstrip(b"\0") == b"teaching only"
    write(replace(result, models=(("m" * 90, "ab" * 32),)), tmp_path, ["mask.nii.gz"])
    assert len(bytes(nib.load(tmp_path / "mask.nii.gz").header["descrip"]).rstrip(b"\0")) == 79


def texts(figure):
    return "\n".join(text.get_text() for text in figure.texts)


def test_what_a_person_looks_at_carries_the_notice_and_the_models(result):
    for figure in (overview(result), paper(result)):
        assert NOTICE in " ".join(texts(figure).split())
        assert "m abababababab" in texts(figure)
    assert "m " + "ab" * 32 in texts(paper(result))


def test_the_page_says_scores_in_words_three_volumes_doubt_and_warnings(result):
    """Voxels of 15 x 1.5 x 1.2 mm: 100 of them are 2.7 mL."""
    large = replace(result.scan, affine=axial_affine((15, 1.5, 1.2), result.scan.hu.shape))
    output = replace(result, scan=large, disagreement=np.array([0, 0.25, 0.05]), ood=OodScore(0.5, 1.25, 0.95))
    page = texts(paper(output)).splitlines()
    assert result_sentence(output) in page
    assert page[page.index("epidural") :][:3] == ["epidural", "0.80", "likely"]
    assert page[page.index("of the outlined mask") + 1] == "2.7 mL"
    assert page[page.index("of the mask by ABC/2") + 1] == f"{output.abc2_ml:.1f} mL" == "1.5 mL"
    assert "- The model is unsure on slice 2: the mirrored slice gets a different score." in page
    assert "- Out-of-distribution score 0.5: 95% of scans like those the model learned from stay below 1.2." in page
    assert "- One note." in page
    unknown = replace(result, calibrated=False, scan=replace(result.scan, spacing_known=False))
    page = texts(paper(unknown)).splitlines()
    assert "Score, no probability, whole scan" in page
    assert "likely" not in page
    assert page[page.index("of the outlined mask") + 1] == "not known"


def test_many_warnings_stay_on_the_page(result):
    figure = paper(replace(result, warnings=tuple(f"Warning {k}. " + "Long words follow. " * 9 for k in range(9))))
    lowest = min(text.get_position()[1] for text in figure.texts if text.get_text().startswith(("- ", "  ")))
    assert "- More stands in result.json." in texts(figure)
    assert lowest > 0.06


def test_the_page_is_one_and_the_same_result_gives_the_same_bytes(result, tmp_path):
    first, second = (dict.fromkeys(write(result, tmp_path / name)) for name in ("a", "b"))
    assert [a.read_bytes() == b.read_bytes() for a, b in zip(first, second, strict=True)] == [True] * 5
    page = (tmp_path / "a" / "report.pdf").read_bytes()
    assert len(re.findall(rb"/Type /Page\b", page)) == 1
    assert b"Date" not in page


# DICOM segmentation

TURN = np.radians([20, 10])
OBLIQUE = np.array([[1, 0, 0], [0, np.cos(TURN[0]), -np.sin(TURN[0])], [0, np.sin(TURN[0]), np.cos(TURN[0])]]) @ (
    np.array([[np.cos(TURN[1]), -np.sin(TURN[1]), 0], [np.sin(TURN[1]), np.cos(TURN[1]), 0], [0, 0, 1]])
)
AXES = {  # columns of a file to mm in NIfTI axes, before spacing
    "identity": np.diag([-1.0, -1.0, 1.0]),
    "oblique": OBLIQUE @ np.diag([-1.0, -1.0, 1.0]),
    "tilted gantry": np.array([[-1, 0, 0], [0, -np.cos(TURN[0]), 0], [0, np.sin(TURN[0]), 1]]),
    "sagittal": np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]),
    "feet first, prone": np.diag([1.0, 1.0, -1.0]),
}


def file_affine(axes, shape=(24, 20, 5)):
    affine = np.eye(4)
    affine[:3, :3] = axes * [0.4, 0.5, 5]
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) / 2) + [3, -7, 11]
    return affine


def asymmetric_volume(shape=(24, 20, 5)):
    """(column, row, slice) HU: air, some brain, and blood in a shape that differs from all its mirror images and
    rotations."""
    values = np.full(shape, -1000.0)
    values[2:20, 2:17] = 30
    for voxel in [(3, 4, 1), (4, 4, 1), (5, 4, 1), (3, 5, 1), (3, 4, 2), (9, 7, 3)]:
        values[voxel] = 60
    return values


def found_in(scan, *, models=(("unet", "cd" * 32),)):
    """The result of a model that marks exactly the planted blood."""
    blood = (scan.hu == 60).astype(np.float16)
    scores = np.tile(np.float32([0.1, 0.7, 0.1, 0.1, 0.1, 0.8]), (len(scan.hu), 1))
    evidence = Evidence(scores[:, -1], scores)
    return Result(scan, blood, 0.5, evidence, scores, scores[0], 0.5, True, blood, models, scan.notes)


@pytest.fixture
def segmentation_folder(tmp_path):
    """From synthetic values and axes through DICOM to the folder with every file."""

    def way(axes, values=None):
        write_series(tmp_path / "in", asymmetric_volume() if values is None else values, file_affine(axes))
        write(found_in(read(tmp_path / "in")), tmp_path / "out")
        return tmp_path / "out"

    return way


def places(dataset):
    """(n, 3) mm in DICOM axes of all pixels that are 1, by the formula of the standard (PS3.3 C.7.6.2.1.1)."""
    shared = dataset.SharedFunctionalGroupsSequence[0]
    along_row, down = np.reshape(shared.PlaneOrientationSequence[0].ImageOrientationPatient, (2, 3)).astype(float)
    dy, dx = (float(mm) for mm in shared.PixelMeasuresSequence[0].PixelSpacing)
    frames = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    result = []
    for frame, output in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        corner = np.array(output.PlanePositionSequence[0].ImagePositionPatient, float)
        result += [corner + along_row * dx * column + down * dy * row for row, column in np.argwhere(frame)]
    return np.array(result).reshape(-1, 3)


def in_order(points):
    return points[np.lexsort(np.round(points, 2).T)]


@pytest.mark.parametrize("axes", AXES)
def test_segmentation_nifti_mask_and_planted_blood_lie_in_one_place(segmentation_folder, axes):
    out = segmentation_folder(AXES[axes])
    to_lps = np.diag([-1.0, -1.0, 1.0])
    truth = nib.affines.apply_affine(file_affine(AXES[axes]), np.argwhere(asymmetric_volume() == 60)) @ to_lps
    mask = nib.load(out / "mask.nii.gz")
    nifti = nib.affines.apply_affine(mask.affine, np.argwhere(np.asarray(mask.dataobj))) @ to_lps
    dicom = places(pydicom.dcmread(out / "mask-seg.dcm"))
    assert in_order(dicom) == pytest.approx(in_order(truth), abs=1e-3)
    assert in_order(nifti) == pytest.approx(in_order(truth), abs=1e-3)


def test_the_segment_says_what_it_is_who_drew_it_and_what_it_is_not_for(segmentation_folder):
    import highdicom

    read_back = highdicom.seg.segread(segmentation_folder(AXES["identity"]) / "mask-seg.dcm")
    segment = read_back.get_segment_description(1)
    codes = [segment.segmented_property_category, segment.segmented_property_type, segment.anatomic_regions[0]]
    assert [(code.value, code.scheme_designator, code.meaning) for code in codes] == [
        ("49755003", "SCT", "Morphologically Abnormal Structure"),
        ("50960005", "SCT", "Hemorrhage"),
        ("1101003", "SCT", "Intracranial"),
    ]
    drawn_by = segment.algorithm_identification
    assert (segment.algorithm_type.value, drawn_by.name, drawn_by.version) == ("AUTOMATIC", "unet", "cd" * 32)
    assert segment.SegmentDescription.startswith(NOTICE)
    assert (read_back.ContentQualification, read_back.PatientIdentityRemoved) == ("RESEARCH", "YES")
    assert read_back.number_of_frames == 3  # five slices, two of them without blood


def test_no_two_segmentations_share_a_uid_or_tell_a_date(segmentation_folder, tmp_path):
    out = segmentation_folder(AXES["identity"])
    write(found_in(read(tmp_path / "in")), tmp_path / "again")
    uids, dates = zip(*(every(folder / "mask-seg.dcm") for folder in (out, tmp_path / "again")), strict=True)
    own = [{uid for uid in result if not uid.startswith("1.2.840.10008.")} - {HIGHDICOM} for result in uids]
    assert len(own[0]) == len(own[1]) == 11  # file, series, study, frame, dimensions; five slices and their series
    assert not own[0] & own[1]
    assert dates == ({"", "19000101", "000000"},) * 2


HIGHDICOM = "1.2.826.0.1.3680043.9.7433.1.1"  # the program's own UIDs


def every(path):
    """All UIDs, dates and times in a file, at any depth."""
    dataset = pydicom.dcmread(path)
    elements = [*dataset.file_meta, *dataset.iterall()]
    dates = {str(item.value) for item in elements if item.VR in ("DA", "TM", "DT")}
    return {item.value for item in elements if isinstance(item.value, UID)}, dates


def test_a_scan_without_blood_has_a_segmentation_of_nothing(segmentation_folder):
    dataset = pydicom.dcmread(
        segmentation_folder(AXES["identity"], np.minimum(asymmetric_volume(), 30)) / "mask-seg.dcm"
    )
    assert dataset.NumberOfFrames == 5
    assert not len(places(dataset))


@pytest.mark.parametrize("axes", ["identity", "oblique", "tilted gantry", "feet first, prone"])
def test_a_segmentation_of_uneven_slices_keeps_the_frames_of_the_files(tmp_path, axes):
    values, affine = asymmetric_volume(), file_affine(AXES[axes])
    write_series(tmp_path / "in", values, affine, skip=(2,))
    scan = read(tmp_path / "in")
    assert scan.dicom
    write(found_in(scan), tmp_path / "out", ["mask-seg.dcm"])
    dataset = pydicom.dcmread(tmp_path / "out" / "mask-seg.dcm")
    here = np.argwhere(values == 60)
    in_files = nib.affines.apply_affine(np.diag([-1, -1, 1, 1.0]) @ affine, here[here[:, 2] != 2])
    np.testing.assert_allclose(sorted(places(dataset).tolist()), sorted(in_files.tolist()), atol=1e-3)
    assert dataset.NumberOfFrames == 2


@pytest.mark.parametrize("axes", ["identity", "tilted gantry", "feet first, prone"])
def test_a_nifti_mask_of_uneven_slices_lies_on_an_even_grid_and_says_so(tmp_path, axes):
    values, affine = asymmetric_volume(), file_affine(AXES[axes])
    write_series(tmp_path / "in", values, affine, skip=(2,))
    result = found_in(read(tmp_path / "in"))
    assert any("A mask saved as NIfTI has evenly spaced slices" in note for note in result.warnings)
    write(result, tmp_path / "out", ["mask.nii.gz"])
    mask = nib.load(tmp_path / "out" / "mask.nii.gz")
    assert b"uneven; these lie 5.00 mm apart, copies of the nearest" in b"".join(
        extension.get_content() for extension in mask.header.extensions
    )
    marked = nib.affines.apply_affine(mask.affine, np.argwhere(np.asarray(mask.dataobj)))
    from_head = axes == "feet first, prone"
    # of two slices at the same distance, the one toward the feet
    planted = (values == 60)[..., [0, 1, 3 if from_head else 1, 3, 4]]
    expected = nib.affines.apply_affine(affine, np.argwhere(planted))
    np.testing.assert_allclose(sorted(marked.tolist()), sorted(expected.tolist()), atol=1e-3)


def test_a_nifti_mask_of_even_slices_lies_on_the_files_own_grid(result, tmp_path):
    write(result, tmp_path, ["mask.nii.gz"])
    mask = nib.load(tmp_path / "mask.nii.gz")
    assert mask.shape[2] == len(result.scan.hu)
    assert b"uneven" not in b"".join(extension.get_content() for extension in mask.header.extensions)


def test_each_slice_tells_its_slab_and_its_ml(result):
    uneven = replace(result, scan=replace(result.scan, places=np.array([0, 1, 3.0])))
    content = as_json(uneven)
    assert [row["slab_mm"] for row in content["slices"]] == [5, 7.5, 7.5]
    pixels = np.array([row["mask_pixels"] for row in content["slices"]])
    assert content["volume_ml"] == pytest.approx(pixels @ [5, 7.5, 7.5] * 0.5 * 0.4 / 1000)
    assert content["volume_ml"] == pytest.approx(sum(row["mask_ml"] for row in content["slices"]))


def test_a_segmentation_is_written_only_where_slices_and_pixels_have_their_place(result, tmp_path):
    affine = file_affine(AXES["identity"])
    write_series(tmp_path / "nowhere", asymmetric_volume(), affine, ImagePositionPatient=None)
    write_series(tmp_path / "unmeasured", asymmetric_volume(), affine, PixelSpacing=None)
    for name in ("nowhere", "unmeasured"):
        assert not read(tmp_path / name).dicom
    assert not result.scan.dicom
    with pytest.raises(ValueError, match="lies over a DICOM series whose slices and pixel size are all told"):
        write(result, tmp_path, ["mask-seg.dcm"])


# what must not be in a file

WHO = {
    "PatientName": "Qvortrup^Zelda",
    "PatientID": "ZQ-471188",
    "PatientBirthDate": "19430817",
    "PatientAddress": "Krokusgatan 77",
    "InstitutionName": "Wunibald Hospital",
    "AccessionNumber": "ACC9903117",
    "StudyDate": "20190423",
    "SeriesDate": "20190424",
    "AcquisitionDate": "20190425",
    "StudyTime": "134507",
    "StudyID": "ST88123",
    "StudyDescription": "Fallschirm head",
    "SeriesDescription": "Kopfnative 5mm",
    "OperatorsName": "Obermaier^Ute",
    "ReferringPhysicianName": "Dr^Yggdrasil",
    "DeviceSerialNumber": "SN5550123",
    "StudyInstanceUID": "1.2.276.0.99887711.1",
    "SeriesInstanceUID": "1.2.276.0.99887711.2",
    "FrameOfReferenceUID": "1.2.276.0.99887711.3",
}


def unpacked_bytes(path):
    """Every byte of a file as stored and as unpacked, with the texts of a PDF's page joined."""
    data = path.read_bytes()
    yield data
    if path.suffix == ".gz":
        yield gzip.decompress(data)
    if path.suffix == ".png":
        yield cv2.imread(str(path)).tobytes()
    if path.suffix == ".pdf":
        for part in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL):
            yield (plain := zlib.decompressobj().decompress(part) if part[:1] == b"\x78" else part)
            for view in re.findall(rb"\[(.*?)\]\s*TJ", plain, re.DOTALL):
                yield re.sub(rb"\\(.)", rb"\1", b"".join(re.findall(rb"\(((?:[^()\\]|\\.)*)\)", view)))


def holds(path, words):
    """Which of these words are in a file, in any case and encoding."""
    pieces = [part.lower() for part in unpacked_bytes(path)]
    coded = {word: [word.lower().encode(how) for how in ("utf-8", "utf-16-le", "utf-16-be")] for word in words}
    return {word for word, codes in coded.items() if any(code in part for code in codes for part in pieces)}


@pytest.fixture(scope="module")
def downloads(tmp_path_factory, models):
    """Files of a scan in which every slice, file and folder names a person, and those names."""
    folder = tmp_path_factory.mktemp("Qvortrup_Zelda")
    values = asymmetric_volume((64, 64, 5))
    values[12:52, 12:52] = 30
    values[30:40, 20:30, 1] = 65
    slices = write_series(folder, values, file_affine(AXES["tilted gantry"], values.shape), prefix="QVORTRUP", **WHO)
    names = {part for value in WHO.values() for part in re.split(r"[\^ ]", value) if len(part) > 4}
    names |= {pydicom.dcmread(path).SOPInstanceUID for path in slices} | {"2019-04-23", "1943-08-17", "99887711"}
    result = analyze(read(folder), models, believe=True)
    return result, write(result, tmp_path_factory.mktemp("out")), names


def test_no_download_holds_a_value_that_names_the_patient(downloads):
    result, files, names = downloads
    assert [file.name for file in files] == list(WRITERS)
    assert result.scan.dicom
    assert len(names) > 20
    assert {file.name: holds(file, names) for file in files} == {name: set() for name in WRITERS}


def test_every_download_holds_the_notice_and_the_hash_of_every_model(downloads):
    result, files, _ = downloads
    expected = {NOTICE, *(sha256 for _, sha256 in result.models)}
    assert {file.name: holds(file, expected) for file in files} == {name: expected for name in WRITERS}


def test_a_name_that_slipped_into_a_warning_would_be_seen_in_the_page_and_in_json(downloads, tmp_path):
    result, _, names = downloads
    loose = replace(result, warnings=("Read from QVORTRUP0001.",))
    for file in write(loose, tmp_path, ["result.json", "report.pdf"]):
        assert "Qvortrup" in holds(file, names)


# --- what is not believed ------------------------------------------------------------------------------------------

REFUSED = Doubt("no skull", True, {}, SENTENCES["no skull"])


def refused(result, *, believe=False):
    return replace(
        result, scan=replace(result.scan, dicom=True), doubts=(REFUSED,), warnings=(REFUSED.sentence,), believe=believe
    )


def test_what_is_not_believed_has_no_finding_in_any_file(result, tmp_path):
    files = {path.name: path for path in write(refused(result), tmp_path)}
    assert set(files) == {"result.json", "slices.csv", "overview.png", "report.pdf"}
    content = json.loads(files["result.json"].read_text())
    assert (content["finding"], content["believed_on_request"]) == ("withheld", False)
    assert content["doubts"] == [{"code": "no skull", "refuses": True, "sentence": REFUSED.sentence}]
    for name in ("scores", "words", "volume_ml", "volume_soft_ml", "volume_abc2_ml", "mask_pixels", "mask_threshold"):
        assert content[name] is None
    assert content["slices"][1] == {
        "slice": 2, "slab_mm": 5.0, "scores": None, "mask_pixels": None, "mask_ml": None, "doubt": None,
    }  # fmt: skip
    for row in table_of(files["slices.csv"]):
        assert {row[name] for name in (*LABELS, "mask_pixels", "mask_ml", "doubt")} == {""}
        assert (row["finding"], row["remarks"]) == (result_sentence(refused(result)), REFUSED.sentence)


@pytest.mark.parametrize("name", ["mask.nii.gz", "mask-seg.dcm"])
def test_a_mask_of_what_is_not_believed_is_not_written(result, name, tmp_path):
    with pytest.raises(ValueError, match=f"There is no {name}: No slice shows brain inside a skull.* use believe"):
        write(refused(result), tmp_path, [name])
    assert list(tmp_path.iterdir()) == []


def test_a_page_of_what_is_not_believed_shows_slices_and_the_reason_and_no_number(result):
    for figure in (overview(refused(result)), paper(refused(result))):
        inside = [text.get_text() for axes in figure.axes for text in axes.texts]
        words = " ".join(" ".join([texts(figure), *inside]).split())
        assert "No finding is given: this may be no native head CT." in words
        assert "No slice shows brain inside a skull." in words
        assert not re.search(r"epidural|Probability|Volume|\bmL\b|any 0", words)
        pictures = [axes for axes in figure.axes if axes.images]
        assert len(pictures) == 3
        assert not any(axes.collections for axes in pictures)  # no outline


def test_what_is_believed_on_request_says_so_in_every_file(result, tmp_path):
    believed = refused(result, believe=True)
    files = write(believed, tmp_path)
    assert [file.name for file in files] == list(WRITERS)
    mark = belief_sentence(believed)
    assert mark.startswith("Shown on request")
    assert {file.name: holds(file, {mark}) for file in files} == {name: {mark} for name in WRITERS}
    content = json.loads(files[0].read_text())
    assert (content["finding"], content["believed_on_request"]) == ("bleeding", True)
    assert content["scores"] == result.scores
    assert bytes(nib.load(tmp_path / "mask.nii.gz").header["descrip"]).startswith(b"Shown on request")
    assert belief_sentence(result) == belief_sentence(replace(result, believe=True)) == ""


def test_no_two_sentences_contradict_each_other(result):
    """For every score, the headline, the volume and the table of mL agree."""
    for score in (0.01, 0.32, 0.33, 0.5, 0.65, 0.66, 0.99):
        scores = np.full((3, 6), min(score, 0.49))
        some = replace(result, scan_scores=np.full(6, score), slice_scores=scores, floor_ml=0.0)
        content = as_json(some)
        is_bleeding = content["sentence"].startswith("Bleeding likely")
        assert is_bleeding == (score >= 0.66) == (content["volume_ml"] is not None)
        assert is_bleeding == content["volume"].startswith("0.1 mL marked")
        assert content["sentence"].startswith("No bleeding") == (score < 0.33)
        assert content["sentence"].startswith("Uncertain") == (content["words"] == "about as likely as not")
        assert content["sentence"] == result_sentence(some)
        assert content["sentence"] in " ".join(texts(paper(some)).split())
        assert content["sentence"] in " ".join(texts(overview(some)).split())


def test_less_than_the_floor_is_none_measurable(result):
    little = replace(result, floor_ml=0.2)
    assert result_sentence(little) == "Bleeding likely on 1 of 3 slices, pattern most like epidural."
    assert volume_sentence(little).startswith("Volume: none measurable.")
    assert as_json(little)["slices"][1]["mask_ml"] is None
    assert "none measurable" in texts(paper(little))


@pytest.mark.parametrize("language", ["de", "es"])
def test_every_doubt_is_said_in_every_language(language):
    values = {"part": "chest", "mm": 400.0, "ml": 1300.4, "head": 3, "count": 40, "value": 2.51, "limit": 1.5}
    codes = {*SENTENCES, "unlike"}
    assert set(DOUBTS[language]) == codes
    doubts_in_words = {doubt_sentence(Doubt(code, True, values, "English."), language) for code in codes}
    assert len(doubts_in_words) == len(codes)
    assert all("{" not in sentence and sentence.endswith(".") for sentence in doubts_in_words)
    assert "2,5" in doubt_sentence(Doubt("unlike", True, values, ""), language)
    parts = {"face", "neck", "spine", "chest", "abdomen", "pelvis", "limb", "whole body"}
    assert set(PARTS[language]) == parts


@pytest.fixture
def scored(result):
    """The same for a classifier alone, without a mask."""
    blank = np.zeros_like(result.blood)
    return replace(
        result, blood=blank, evidence=Evidence(None, result.slice_scores), models=(("classifier", "ab" * 32),)
    )


def test_a_classifier_alone_measures_no_volume_and_says_so_in_every_language(scored):
    sentences = {volume_sentence(scored, language) for language in LANGUAGES}
    assert "This model scores slices only: it draws no outline and measures no volume." in sentences
    assert len(sentences) == len(LANGUAGES)
    assert result_sentence(scored) == "Bleeding likely on 1 of 3 slices, pattern most like epidural."
    content = as_json(scored)
    assert content["volume_ml"] is content["mask_pixels"] is content["mask_threshold"] is None
    assert {row["mask_pixels"] for row in content["slices"]} == {None}
    assert content["slices"][1]["scores"]["any"] == 0.9
    assert "not outlined" in texts(paper(scored))


@pytest.mark.parametrize("name", ["mask.nii.gz", "mask-seg.dcm"])
def test_a_classifier_alone_leaves_no_mask_that_could_be_taken_for_no_blood(scored, name, tmp_path):
    assert not {"mask.nii.gz", "mask-seg.dcm"} & {path.name for path in write(scored, tmp_path)}
    with pytest.raises(ValueError, match=f"There is no {name}: classifier scores slices and draws no mask."):
        write(scored, tmp_path, [name])


def test_a_mask_alone_tells_no_type(result):
    outlined = replace(result, evidence=Evidence(result.slice_scores[:, -1], None))
    assert result_sentence(outlined) == "Bleeding likely on 1 of 3 slices, about 0.1 mL."
