import os
from pathlib import Path

import pytest
from filelock import FileLock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
ROOT = Path(__file__).parents[1]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """With `--dist loadgroup` a file is one group, because its fixtures are made once. Lessons are distributed one by
    one."""
    for item in items:
        if "lessons" not in item.keywords:
            item.add_marker(pytest.mark.xdist_group(item.path.name))


@pytest.fixture(scope="session")
def once(tmp_path_factory, worker_id):
    """`once(name, make)`: the folder that `make(folder)` filled. The first worker fills it; the others wait."""
    base = tmp_path_factory.getbasetemp()
    root = (base if worker_id == "master" else base.parent) / "once"

    def make_once(name, make):
        folder = root / name
        root.mkdir(exist_ok=True)
        with FileLock(root / f"{name}.lock"):
            if not (root / f"{name}.made").exists():
                make(folder)
                (root / f"{name}.made").touch()
        return folder

    return make_once


@pytest.fixture(scope="session")
def models():
    from ich_lib.prediction.engine import load

    return load()


@pytest.fixture(scope="session")
def bleeding_case():
    from ich_lib.phantoms import phantom

    return phantom(101, bleeds=["epidural"])


@pytest.fixture(scope="session")
def ct_ich_folder():
    """The folder of CT-ICH 1.0.0: ICH_DATA, or a folder next to the repository."""
    beside = ROOT.parent / "shared" / "data" / "ct-ich-1.0.0"
    folder = Path(os.environ.get("ICH_DATA", beside))
    if not (folder / "hemorrhage_diagnosis.csv").is_file():
        pytest.skip("CT-ICH 1.0.0 is not here; set ICH_DATA to its folder (doi 10.13026/w8q8-ky94).")
    return folder


@pytest.fixture(scope="module")
def browser():
    """Chromium, once in each module, because its event loop blocks others."""
    from tests.browsing import open_chromium

    yield from open_chromium()


@pytest.fixture(autouse=True)
def screenshot(request):
    """Every browser test saves a picture in build/screenshots, of a page that it closed or of one that is still
    open."""
    if "browser" not in request.fixturenames:
        yield
        return
    from tests.browsing import keep, open_pages, picture

    picture().unlink(missing_ok=True)  # from another day
    yield
    if open_pages and not picture().exists():
        own = (value for value in request.node.funcargs.values() if value in open_pages)
        keep(next(own, open_pages[-1]))


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Stores that a test makes stay out of the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ICH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def ct_ich_store(ct_ich_folder, once):
    """All of CT-ICH 1.0.0 in the form that training reads, made once for all workers (half a minute)."""
    from ich_lib.data import ct_ich
    from ich_lib.data.store import cached_store, open_store

    def keep(folder):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ICH_CACHE", str(folder))
            cached_store(ct_ich(ct_ich_folder), size=128)

    return open_store(next(once("ct-ich", keep).rglob("*.slices")))


@pytest.fixture(scope="session")
def lesson_cache(once):
    """A cache folder with the phantoms that lessons share, made once for all workers (half a minute)."""
    from ich_lib.course import phantom_heads

    def keep(folder):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ICH_CACHE", str(folder))
            phantom_heads()

    return once("lessons", keep)


@pytest.fixture(scope="session")
def tiny_runs(once):
    """One finished run of each task on phantoms: small enough for every test session, but with all steps of a real one.
    It is made once for all workers, and the tests only read it."""
    from ich_lib.models.run import open_run
    from ich_lib.training.train import train

    folder = once("runs", lambda built: [train(item, None, built / item.task, fold=0) for item in tiny_recipes()])
    return {recipe.task: open_run(folder / recipe.task) for recipe in tiny_recipes()}


def tiny_recipes():
    from ich_lib.models.recipe import Recipe

    shape = {"size": 32, "stored": 64, "phantoms": 6, "batch": 4, "steps": 3, "epochs": 2, "precision": "float32"}
    return (
        Recipe("tiny-unet", "segment", "unet2d", {"filters": (4, 8)}, **shape),
        Recipe("tiny-densenet", "classify", "densenet_bc", {"blocks": (1, 1), "growth": 4}, **shape),
        Recipe("tiny-both", "both", "unet2d", {"filters": (4, 8)}, **shape),
    )
