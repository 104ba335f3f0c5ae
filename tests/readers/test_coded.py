import cv2
import numpy as np
import pytest

from ich_lib.data.picture import gray
from ich_lib.readers.coded import frame_header, is_complete

NOISE = np.random.default_rng(0).integers(0, 255, (64, 48), np.uint8)
END = b"\xff\xd9"


def coded(kind):
    return cv2.imencode(kind, NOISE)[1].tobytes()


def with_thumbnail(jpeg):
    """A JPEG with a thumbnail in its header, as cameras write it: the thumbnail has its own end marker."""
    inner = b"small picture" + END
    return jpeg[:2] + b"\xff\xe1" + (len(inner) + 2).to_bytes(2, "big") + inner + jpeg[2:]


@pytest.mark.parametrize("data", [coded(".jpg"), coded(".png"), with_thumbnail(coded(".jpg"))])
def test_a_whole_picture_is_complete_and_one_that_is_cut_anywhere_after_its_head_is_not(data):
    assert is_complete(data)
    start = 100 if data[:1] == b"\x89" else frame_header(data) + 20
    assert not any(is_complete(data[:end]) for end in range(start, len(data) - 8, 37))


def test_what_follows_the_end_of_a_jpeg_does_not_matter():
    assert is_complete(coded(".jpg") + bytes(500))


def test_the_frame_header_holds_the_size():
    data = with_thumbnail(coded(".jpg"))
    at = frame_header(data)
    assert [int.from_bytes(data[at + k : at + k + 2], "big") for k in (5, 7)] == [64, 48]


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xff\xff", bytes(20)])
def test_a_jpeg_without_a_frame_header_is_refused(data):
    with pytest.raises(ValueError, match="no frame header"):
        is_complete(data)


@pytest.mark.parametrize("kind", [".jpg", ".png"])
def test_a_picture_of_a_data_set_is_held_to_the_same(tmp_path, kind):
    path = tmp_path / f"1{kind}"
    path.write_bytes(coded(kind) + bytes(500))
    assert gray(path).shape == NOISE.shape
    path.write_bytes(coded(kind)[:-200])
    with pytest.raises(ValueError, match=r"ends too early|not a readable picture"):
        gray(path)
    path.write_bytes(coded(kind)[:9])
    with pytest.raises(ValueError, match="not a readable picture"):
        gray(path)
