"""Three gates check a scan before its finding is shown: what each refuses, what it warns about, and what passes."""

from dataclasses import replace

import numpy as np
import pytest

from ich_lib.models.recipe import Recipe
from ich_lib.phantoms import phantom
from ich_lib.phantoms.bodies import BODIES, add_fault, body
from ich_lib.prediction.analyze import FLOOR_ML, Result, analyze
from ich_lib.prediction.calibration import Evidence
from ich_lib.prediction.engine import Model, ModelOutput, Models
from ich_lib.prediction.gates import SENTENCES, find_doubts
from ich_lib.prediction.ood import OodScore
from ich_lib.prepare.anatomy import Head, measure_head
from ich_lib.scan import Acquisition, Scan, axial_affine
from ich_lib.words.doubts import doubt_sentence

RECIPE = Recipe("r", "both", "unet2d", {"filters": (4, 8)}, size=32, neighbors=0)


def fixed_models(score=0.9):
    """A model that marks a block of each picture and gives all labels one score."""

    def answer(pictures):
        blood = np.zeros((*pictures.shape[:3],), np.float32)
        blood[:, 8:16, 10:22] = 0.9
        return ModelOutput(blood, np.full((len(pictures), 6), score, np.float32))

    model = Model("fixed", RECIPE, "0" * 64, answer, {})
    return Models(model, model)


@pytest.fixture(scope="module")
def head():
    """A whole head, in slices of 5 mm."""
    return phantom(1, slices=34, pixels=96).scan


def codes(scan, ood=None):
    """Code to whether it refuses."""
    return {doubt.code: doubt.refuses for doubt in find_doubts(scan, measure_head(scan), ood)}


def with_header(scan, **header):
    return replace(scan, acquisition=Acquisition(**header))


# --- the header ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({}, {}),
        ({"modality": "CT", "body_part": "head", "diameter_mm": 230, "kernel": "soft", "numbers": "HU"}, {}),
        ({"numbers": "unspecified"}, {}),
        ({"modality": "other"}, {"no CT": True}),
        ({"numbers": "other"}, {"no HU": True}),
        ({"contrast": True}, {"contrast": True}),
        ({"kernel": "sharp"}, {"sharp kernel": False}),
        ({"diameter_mm": 500}, {"wide field": False}),
        ({"body_part": "chest"}, {"other part, but a head": False}),
    ],
)
def test_what_a_header_says_of_a_whole_head(head, header, expected):
    assert codes(with_header(head, **header)) == expected


def test_another_part_of_the_body_refuses_where_no_head_is_seen():
    chest = with_header(body("chest", slices=4, pixels=64), body_part="chest", diameter_mm=400)
    assert codes(chest) == {"other part": True, "no skull": True, "wide field": False}


def test_the_doubts_that_refuse_come_first(head):
    found = find_doubts(with_header(head, kernel="sharp", contrast=True), measure_head(head), None)
    assert [doubt.refuses for doubt in found] == [True, False]


# --- the anatomy ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BODIES)
def test_no_other_body_gets_through(name):
    assert any(codes(body(name, seed=3, slices=6, pixels=96)).values())


@pytest.mark.parametrize("seed", range(6))
def test_heads_get_through_without_a_word(seed):
    bleeds = [("epidural",), ("subdural",), ("subarachnoid",), ("intraparenchymal",), ("intraventricular",), ()][seed]
    assert codes(phantom(seed, bleeds=bleeds, slices=34, pixels=96).scan) == {}


@pytest.mark.parametrize("options", [{"slices": 1}, {"slices": 4}, {"slices": 12}, {"slices": 30, "tilt_deg": 20}])
def test_so_does_a_part_of_a_head_and_a_tilted_one(options):
    assert codes(phantom(2, pixels=64, **options).scan) == {}


@pytest.mark.parametrize(
    ("fault", "code", "refuses"),
    [
        ("inverted", "no whole skull", True),
        ("intercept forgotten", "no skull", True),
        ("slope doubled", "no skull", True),
        ("bone as soft tissue", "no skull", True),
        ("slices shuffled", "shuffled", True),
        ("upside down", "upside down", True),
        ("on its side", "on its side", True),
        ("feet first", "feet first", False),
    ],
)
def test_a_head_whose_numbers_or_axes_went_wrong_is_told(head, fault, code, refuses):
    assert codes(add_fault(head, fault, 1)).get(code) is refuses


def test_a_mirrored_head_cannot_be_told(head):
    assert codes(replace(head, hu=np.ascontiguousarray(head.hu[:, :, ::-1]))) == {}


def test_a_head_among_slices_of_no_head_is_told_and_refused_by_its_share(head):
    air = np.full_like(head.hu, -1000)
    few = replace(head, hu=np.concatenate([air, air, head.hu]))
    assert codes(few) == {"few slices of a head": True}
    some = replace(head, hu=np.concatenate([air, head.hu]))
    assert codes(some) == {"many slices of no head": False}


def test_a_head_cut_off_by_the_field_is_told(head):
    assert codes(replace(head, hu=np.ascontiguousarray(head.hu[:, :, 26:]))) == {"cut off": False}


PLAIN = Head(np.full(30, 100.0), np.zeros(30, bool), 1400.0, 150.0, 80.0, (-50.0, -40.0, 0.0))


@pytest.mark.parametrize(
    ("ml", "length_mm", "expected"),
    [
        (700.0, 150.0, {}),
        (2200.0, 150.0, {}),
        (690.0, 150.0, {"small cavity": False}),
        (240.0, 150.0, {"tiny cavity": True}),
        (240.0, 90.0, {}),  # a part of a head
        (2210.0, 150.0, {"large cavity": False}),
        (2510.0, 90.0, {"huge cavity": True}),
        (None, None, {}),
    ],
)
def test_a_cavity_is_that_of_a_person(ml, length_mm, expected):
    scan = Scan(np.zeros((30, 2, 2), np.float32), axial_affine((5, 1, 1), (30, 2, 2)))
    found = find_doubts(scan, replace(PLAIN, cavity_ml=ml, length_mm=length_mm), None)
    assert {doubt.code: doubt.refuses for doubt in found} == expected
    assert all(f"{ml:.0f} mL" in doubt.sentence for doubt in found)


def test_little_air_tells_nothing_of_how_a_head_lies():
    scan = Scan(np.zeros((30, 2, 2), np.float32), axial_affine((5, 1, 1), (30, 2, 2)))
    turned = replace(PLAIN, air_mm=(50.0, 40.0, 0.0))
    assert len(find_doubts(scan, turned, None)) == 2
    assert find_doubts(scan, replace(turned, air_ml=29.0), None) == ()


def test_a_lone_slice_without_a_ring_is_believed_where_the_header_says_head():
    """Slices below the brain and at the vertex show no closed skull."""
    slice_of = Scan(np.full((1, 64, 64), 30, np.float32), axial_affine((5, 3, 3), (1, 64, 64)))
    assert any(codes(slice_of).values())
    assert not any(codes(with_header(slice_of, body_part="head")).values())
    assert any(codes(with_header(replace(slice_of, hu=np.repeat(slice_of.hu, 4, axis=0)), body_part="head")).values())


def test_where_hu_are_unknown_the_anatomy_is_not_asked_for():
    assert codes(replace(body("chest", slices=2, pixels=64), hu_known=False)) == {}


# --- the model's features, and words --------------------------------------------------------------------------------


def test_the_models_features_refuse_as_ever(head):
    assert codes(head, OodScore(1.0, 1.5, 0.99)) == {}
    odd = OodScore(2.0, 1.5, 0.99)
    (doubt,) = find_doubts(head, measure_head(head), odd)
    assert (doubt.refuses, doubt.sentence) == (True, odd.sentence)


@pytest.mark.parametrize("hu_known", [False, True])
def test_a_picture_that_the_models_features_refuse_is_too_far_from_a_ct_slice(head, hu_known):
    picture = replace(head, hu=head.hu.clip(0, 80), hu_known=hu_known, spacing_known=False)
    refused = codes(picture, OodScore(2.0, 1.5, 0.99))
    assert refused["unlike picture"]
    assert "unlike picture" not in codes(picture, OodScore(1.0, 1.5, 0.99))
    (doubt,) = (d for d in find_doubts(picture, measure_head(picture), OodScore(2.0, 1.5, 0.99)) if "picture" in d.code)
    assert doubt.sentence.startswith(
        "The picture differs too much from a CT slice (out-of-distribution score 2.0; 99% of"
    )
    assert doubt_sentence(doubt, "de").startswith("Das Bild weicht zu stark")
    assert doubt_sentence(doubt, "es").startswith("La imagen difiere demasiado")


def test_no_sentence_is_left_over():
    """The text of each is made from numbers that it contains."""
    blanks = {"part": "chest", "mm": 400.0, "ml": 300.0, "head": 3, "count": 40}
    blanks |= {"value": 2.0, "limit": 1.5, "quantile": 0.99}
    for sentence in SENTENCES.values():
        assert "{" not in sentence.format(**blanks)
        assert sentence.format(**blanks).endswith(".")


# --- the one rule ----------------------------------------------------------------------------------------------------


def test_what_is_refused_has_no_finding_and_no_ml_unless_it_is_asked_for(head):
    chest = body("chest", slices=4, pixels=64)
    refused, believed = (analyze(chest, fixed_models(), believe=believe) for believe in (False, True))
    assert (refused.is_withheld, refused.finding, refused.is_measurable) == (True, "withheld", False)
    assert (refused.volume_ml, refused.soft_ml, refused.abc2_ml) == (None, None, None)
    assert (believed.is_withheld, believed.finding) == (False, "bleeding")
    assert believed.volume_ml == pytest.approx(refused.marked_ml)
    assert refused.blood == pytest.approx(believed.blood, rel=1e-5)
    assert refused.warnings == believed.warnings
    assert refused.warnings[0] == refused.refusals[0].sentence


def test_ml_never_exceed_the_cavity(head):
    """A model that marks everything."""

    def everything(pictures):
        return ModelOutput(np.ones(pictures.shape[:3], np.float32), np.full((len(pictures), 6), 0.9, np.float32))

    model = Model("all", RECIPE, "0" * 64, everything, {})
    result = analyze(head, Models(model, model))
    assert result.marked_ml > 2 * result.cavity_ml
    assert result.volume_ml == result.soft_ml == result.cavity_ml
    assert result.abc2_ml <= result.cavity_ml


def planted(*, any_score, slice_score=0.1, ml=10.0, calibrated=True, floor_ml=FLOOR_ML):
    """A result with a given probability and a given volume, with voxels of 0.1 mL."""
    shape = (4, 20, 20)
    blood = np.zeros(shape, np.float16)
    blood.reshape(-1)[: round(ml * 10)] = 0.9
    slices = np.full((4, 6), slice_score)
    scan = Scan(np.zeros(shape, np.float32), axial_affine((4, 5, 5), shape))
    scores = np.full(6, any_score)
    evidence = Evidence(slices[:, 5], slices)
    return Result(
        scan, blood, 0.5, evidence, slices, scores, 0.5, calibrated, blood, (), (), floor_ml=floor_ml
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        ({"any_score": 0.66}, "bleeding"),
        ({"any_score": 0.65}, "uncertain"),
        ({"any_score": 0.33}, "uncertain"),
        ({"any_score": 0.32}, "none"),
        ({"any_score": 0.1, "slice_score": 0.5}, "uncertain"),
        ({"any_score": 0.5, "calibrated": False}, "bleeding"),
        ({"any_score": 0.49, "calibrated": False}, "none"),
    ],
)
def test_the_headline_is_one_of_three(options, finding):
    assert planted(**options).finding == finding


def test_ml_are_given_of_bleeding_alone_and_above_the_floor():
    assert planted(any_score=0.9, ml=2.1).volume_ml == pytest.approx(2.1)
    assert planted(any_score=0.9, ml=1.9).volume_ml is None
    assert planted(any_score=0.9, ml=1.9, floor_ml=0).volume_ml == pytest.approx(1.9)
    assert planted(any_score=0.5).volume_ml is None
    assert planted(any_score=0.1).volume_ml is None
    assert planted(any_score=0.1).marked_ml == pytest.approx(10)


def test_a_scan_of_one_slice_has_that_slices_scores():
    from ich_lib.prediction.engine import load

    result = analyze(phantom(1, bleeds=["epidural"], slices=1, pixels=128).scan, load())
    assert np.array_equal(result.scan_scores, result.slice_scores[0])
