"""Search the readers for a file that gives neither a scan nor a sentence, guided by coverage (atheris, libFuzzer).

python -m tests.fuzz DICOM --seconds 60 [--corpus FOLDER]; the targets are DICOM, NIfTI and zip.
Ends with 0 if there is no such file; otherwise it prints the error and saves the file as crash-*.
Needs `pip install atheris`. No requirements file lists it, because it exists for few versions of Python.
"""

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ich_lib.readers", "pydicom.filereader", "nibabel.nifti1", "zipfile"]):
    from ich_lib.readers import ReadError, read

from tests.readers.test_fuzz import plain_file


def main() -> None:
    """Run until the time is over or such a file is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("door", choices=("DICOM", "NIfTI", "zip"))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--runs", type=int, default=-1, help="so many files, the same ones every time")
    parser.add_argument("--corpus", type=Path, help="folder that keeps what reached new code")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seeds = Path(folder) / "seeds"
        seeds.mkdir()
        (seeds / "plain").write_bytes(plain_file(options.door))
        path = Path(folder) / "file"

        def read_one(data: bytes) -> None:
            path.write_bytes(data)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                try:
                    read(path)
                except ReadError:
                    return

        corpora = [str(options.corpus)] if options.corpus else []
        limits = [f"-max_total_time={options.seconds}", "-rss_limit_mb=4000", "-timeout=60", "-max_len=40000"]
        limits += [f"-runs={options.runs}", f"-seed={1 if options.runs > 0 else 0}"]
        atheris.Setup([sys.argv[0], *limits, "-verbosity=0", "-print_final_stats=1", *corpora, str(seeds)], read_one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
