"""What docs/site.py makes the site from: lessons, pages, and the check of the links."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]


def script(path: str) -> ModuleType:
    """A script of the repository as a module.

    Args:
        path: from the repository's root, such as "notebooks/build.py".
    """
    name = f"script_{Path(path).stem}"
    if name not in sys.modules:
        spec = spec_from_file_location(name, ROOT / path)
        sys.modules[name] = module_from_spec(spec)  # dataclasses look their module up
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]
