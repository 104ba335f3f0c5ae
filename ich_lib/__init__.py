"""Intracranial hemorrhage on head CT: a library to learn from, from a file to a result.

Teaching and research only; not a medical device. Quick start, on a synthetic head:

    >>> from ich_lib import analyze, phantom, read
    >>> from ich_lib.reports import write
    >>> from ich_lib.reports.case_files import write_case
    >>> from ich_lib.words import result_sentence
    >>> case = phantom(1, bleeds=["epidural"], slices=12, pixels=128)  # a scan and its exact truth
    >>> write_case(case, "head")  # your own scan may be DICOM, NIfTI, PNG or JPG: a file, a folder or a zip
    >>> result = analyze(read("head/scan.nii.gz"))
    >>> print(result_sentence(result))
    Bleeding likely on 7 of 12 slices, about 15 mL, pattern most like intraparenchymal.
    >>> print(f"{result.volume_ml:.0f} mL found, {case.volumes_ml['epidural']:.0f} mL true")
    15 mL found, 35 mL true
    >>> files = write(result, "found", ["mask.nii.gz"])  # found/mask.nii.gz, on the grid of the scan

Each name is loaded when it is first used:

    read        files to a Scan                        ReadError if they are not a head CT
    phantom     a synthetic head, as a Case
    load        trained models; the shipped ones by default
    analyze     a Scan to a Result: scores, mask, mL
    explain     where in a Scan the model looked
    store       a data set to one compact file
    recipes     the models that can be trained, each a Recipe
    train       a Recipe and a data set to a run folder
    evaluate    trained models to figures with intervals
    export      a run folder to what `load` and the demo serve
    LABELS      the order of the six scores             WINDOWS    name to (level, width) in HU

The packages are named by nouns, in the order of the data flow: readers, phantoms, prepare, data, models, training,
prediction, measures, evaluation, explanation, words, reports, show. The user interfaces are demo, workbench, course and
commands.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for type checkers and editors
    from ich_lib.case import Case
    from ich_lib.data.store import store
    from ich_lib.evaluation import evaluate
    from ich_lib.explanation import explain
    from ich_lib.labels import LABELS
    from ich_lib.models.recipe import Recipe
    from ich_lib.models.recipes import recipes
    from ich_lib.phantoms import phantom
    from ich_lib.prediction.analyze import Result, analyze
    from ich_lib.prediction.engine import load
    from ich_lib.prediction.export import export
    from ich_lib.prepare.window import WINDOWS
    from ich_lib.readers import ReadError, read
    from ich_lib.scan import Scan
    from ich_lib.training.train import train

__version__ = "0.7.0"

_HOMES = {  # name to its module, as in the imports above
    "read": "ich_lib.readers",
    "phantom": "ich_lib.phantoms",
    "load": "ich_lib.prediction.engine",
    "analyze": "ich_lib.prediction.analyze",
    "explain": "ich_lib.explanation",
    "store": "ich_lib.data.store",
    "recipes": "ich_lib.models.recipes",
    "train": "ich_lib.training.train",
    "evaluate": "ich_lib.evaluation",
    "export": "ich_lib.prediction.export",
    "Scan": "ich_lib.scan",
    "Case": "ich_lib.case",
    "Result": "ich_lib.prediction.analyze",
    "Recipe": "ich_lib.models.recipe",
    "ReadError": "ich_lib.readers",
    "WINDOWS": "ich_lib.prepare.window",
    "LABELS": "ich_lib.labels",
}

__all__ = [
    "LABELS",
    "WINDOWS",
    "Case",
    "ReadError",
    "Recipe",
    "Result",
    "Scan",
    "analyze",
    "evaluate",
    "explain",
    "export",
    "load",
    "phantom",
    "read",
    "recipes",
    "store",
    "train",
]


def __getattr__(name: str) -> object:
    """Return a public name, imported when it is first used (PEP 562), so that `import ich_lib` takes no time."""
    if name not in _HOMES:
        raise AttributeError(f"module 'ich_lib' has no attribute {name!r}; it shows {', '.join(_HOMES)}.")
    globals()[name] = value = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
