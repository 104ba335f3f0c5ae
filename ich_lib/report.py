"""A result to sentences and files: JSON, a NIfTI mask on the scan's own grid, an overview picture."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np

from ich_lib.labels import ANY, LABELS, TYPES
from ich_lib.predict import NOTICE, Result
from ich_lib.scan import to_file_grid
from ich_lib.uncertainty import EVEN, words


def as_json(result: Result) -> dict:
    """The content of result.json: plain values, no name of a file or person."""
    mask = result.mask
    pixels = mask.sum(axis=(1, 2))
    ml = result.scan.voxel_ml if result.scan.spacing_known else None
    slices = [
        {
            "index": k,
            "scores": {label: round(float(s), 4) for label, s in zip(LABELS, result.slice_scores[k], strict=True)},
            "mask_pixels": int(pixels[k]),
            "mask_ml": None if ml is None else round(float(pixels[k] * ml), 4),
            "doubt": None if result.doubt is None else round(float(result.doubt[k]), 4),
        }
        for k in range(len(pixels))
    ]
    return {
        "scores": {label: round(score, 4) for label, score in result.scores.items()},
        "words": words(result.scores["any"]) if result.calibrated else None,
        "slices": slices,
        "unsure": list(result.unsure),
        "strangeness": result.strangeness and result.strangeness.as_json(),
        "volume_ml": _rounded(result.volume_ml),
        "volume_soft_ml": _rounded(result.soft_ml),
        "volume_abc2_ml": _rounded(result.abc2_ml),
        "mask_pixels": int(pixels.sum()),
        "spacing_mm": [round(mm, 4) for mm in result.scan.spacing_mm] if result.scan.spacing_known else None,
        "orientation": result.scan.orientation,
        "warnings": list(result.warnings),
        "models": [{"name": name, "sha256": sha256} for name, sha256 in result.models],
        "notice": NOTICE,
    }


def _rounded(ml: float | None) -> float | None:
    return None if ml is None else round(ml, 3)


def sentence(result: Result) -> str:
    """What was found, in one sentence for a person; "likely" means likely, as `uncertainty.words` has it."""
    if result.scores["any"] < result.score_threshold:
        return "No bleeding found by this model, which does miss bleeds."
    bleeding = int((result.slice_scores[:, ANY] >= result.score_threshold).sum())
    count = len(result.slice_scores)
    where = "on this slice" if count == 1 else f"on {max(bleeding, 1)} of {count} slices"
    volume = f", about {result.volume_ml:.{0 if result.volume_ml >= 10 else 1}f} mL" if result.volume_ml else ""
    how = EVEN if result.calibrated and words(result.scores["any"]) == EVEN else "likely"
    return f"Bleeding {how} {where}{volume}, pattern most like {TYPES[int(result.scan_scores[:ANY].argmax())]}."


def doubts(result: Result) -> str:
    """Of which slices the model is unsure, in one sentence, counted from 1 as the viewer does; "" where of none."""
    runs = []
    for number in (k + 1 for k in result.unsure):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    if not runs:
        return ""
    told = ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)
    one = len(result.unsure) == 1
    where, image = ("slice", "its mirror image scores") if one else ("slices", "their mirror images score")
    return f"The model is unsure on {where} {told}: {image} otherwise."


def write(result: Result, out: str | Path) -> None:
    """Write result.json, mask.nii.gz and overview.png into the folder `out`, which is made."""
    from ich_lib.show import overview

    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "result.json").write_text(json.dumps(as_json(result), indent=1) + "\n")
    write_nifti(out / "mask.nii.gz", result.mask.astype(np.uint8), result.scan)
    overview(result).savefig(out / "overview.png", dpi=110)


def write_nifti(path: Path, values: np.ndarray, scan) -> None:
    """(z, y, x) values on the grid of the file that `scan` came from."""
    voxels, affine = to_file_grid(scan, values)
    image = nib.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    nib.save(image, path)
