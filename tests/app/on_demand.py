"""`python app.py` that makes a sample when a page opens it. Reading all of them ahead takes 70 s of CPU, and tests need
few."""

import runpy

from ich_lib.demo import samples


def serve() -> None:
    """Run app.py until it is stopped."""
    samples.read_ahead = lambda sample: None
    runpy.run_path("app.py", run_name="__main__")


if __name__ == "__main__":
    serve()
