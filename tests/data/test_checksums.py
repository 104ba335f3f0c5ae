import hashlib

import pytest

from ich_lib.data.checksums import SUMS, parse_sums, verify

FILES = {"LICENSE.txt": b"CC BY 4.0", "Patients_CT/049/brain/1.jpg": b"picture", "Patients_CT/049/bone/1.jpg": b"bone"}
SCAN = "Patients_CT/049/brain/1.jpg"


@pytest.fixture
def folder(tmp_path):
    """A folder with its list of hashes, in the state after a download."""
    for path, data in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    (tmp_path / SUMS).write_text(
        "".join(f"{hashlib.sha256(data).hexdigest()} {path}\n" for path, data in FILES.items())
    )
    return tmp_path


@pytest.mark.parametrize(
    "path",
    [
        "../x.jpg", "a/../../x.jpg", "/tmp/x.jpg", "C:/x.jpg", "C:x.jpg", "a\\..\\x.jpg", "a//x.jpg", "a/./x.jpg", "..",
        "a/", "a/x.jpg.", "a/x.jpg ", "nul", "Aux.txt", "x.jpg:y", "a\x07.jpg", "sha256sums.txt",
    ],
)  # fmt: skip
def test_a_path_that_leads_out_of_the_folder_or_is_no_name_everywhere_is_refused(path):
    with pytest.raises(ValueError, match=r"SHA256SUMS\.txt line 2 has the path "):
        parse_sums(f"{'0' * 64} good.jpg\n{'0' * 64} {path}\n".encode())


@pytest.mark.parametrize("between", [" ", "  ", " *", "  ./"])
def test_the_list_is_read_in_the_forms_that_are_written(between):
    assert parse_sums(f"{'A' * 64}{between}a/b c.jpg\n".encode()) == {"a/b c.jpg": "a" * 64}


def test_a_path_twice_is_refused_whatever_its_case():
    with pytest.raises(ValueError, match=r"lists 'a/X\.jpg' twice"):
        parse_sums(f"{'0' * 64} a/X.jpg\n{'1' * 64} A/x.jpg\n".encode())


def test_an_empty_list_is_refused():
    with pytest.raises(ValueError, match="is empty"):
        parse_sums(b"")


def test_a_folder_as_it_was_published_verifies(folder):
    assert verify(folder) == ()


def test_verify_names_what_is_missing_changed_and_extra(folder):
    (folder / "LICENSE.txt").unlink()
    (folder / SCAN).write_bytes(b"pictura")
    for number in range(7):
        (folder / "Patients_CT" / f"{number}.jpg").touch()
    assert verify(folder) == (
        "1 file missing: LICENSE.txt.",
        f"1 file not what SHA256SUMS.txt says: {SCAN}.",
        "7 files not in SHA256SUMS.txt: Patients_CT/0.jpg, Patients_CT/1.jpg, Patients_CT/2.jpg, "
        "Patients_CT/3.jpg, Patients_CT/4.jpg and 2 more.",
    )


def test_verify_without_a_list_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no SHA256SUMS\.txt"):
        verify(tmp_path)


def test_verify_looks_at_no_path_outside_the_folder(tmp_path):
    (tmp_path / SUMS).write_text(f"{'0' * 64} ../x.jpg\n")
    with pytest.raises(ValueError, match=r"line 1 has the path '\.\./x\.jpg'"):
        verify(tmp_path)
