"""Make the API pages of the library from its docstrings: python docs/api.py [FOLDER]

Without FOLDER they are written to build/api. It uses pdoc, of requirements-dev.txt.
"""

import os
import sys
import warnings
from pathlib import Path
from pkgutil import walk_packages

import pdoc

ROOT = Path(__file__).parents[1]
OUT = ROOT / "build" / "api"
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["PDOC_ALLOW_EXEC"] = "1"  # TensorFlow checks on which machine it runs

import ich_lib  # noqa: E402


def modules() -> list[str]:
    """The library, and every module that a package's `__all__` hides: pdoc finds the others by itself."""
    names = ["ich_lib"]
    for module in walk_packages(ich_lib.__path__, "ich_lib."):  # imports the packages
        package, _, name = module.name.rpartition(".")
        if name != "__main__" and name not in getattr(sys.modules[package], "__all__", [name]):
            names.append(module.name)
    return names


def write(names: list[str], out: Path) -> Path:
    """Write one page per module.

    Args:
        names: of modules.
        out: the folder for them.

    Returns:
        The start page.

    Raises:
        UserWarning: if pdoc warns of a module that cannot be imported or of an unknown annotation.
    """
    pdoc.render.configure(
        docformat="google",
        footer_text=f"ich_lib {ich_lib.__version__}. Not a medical device.",
        template_directory=ROOT / "docs" / "website" / "pdoc",
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=UserWarning, module="pdoc")
        pdoc.pdoc(*names, output_directory=out)
    return out / "ich_lib.html"


if __name__ == "__main__":
    print(write(modules(), Path(sys.argv[1]) if len(sys.argv) > 1 else OUT))
