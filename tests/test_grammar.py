import pytest

from ich_lib.grammar import count, first_few, listed


def test_a_number_with_its_noun():
    assert [count(1, "slice"), count(0, "slice"), count(34, "slice"), count(2, "series")] == [
        "1 slice",
        "0 slices",
        "34 slices",
        "2 series",
    ]


@pytest.mark.parametrize(
    ("noun", "several"),
    [
        ("copy of a file", "2 copies of a file"),
        ("table of contents (DICOMDIR)", "2 tables of contents (DICOMDIR)"),
        ("file of another kind", "2 files of another kind"),
        ("family", "2 families"),
        ("day", "2 days"),
        ("box", "2 boxes"),
        ("branch", "2 branches"),
        ("series of one slice", "2 series of one slice"),
    ],
)
def test_the_plural_is_that_of_what_is_counted(noun, several):
    assert count(2, noun) == several
    assert count(1, noun) == f"1 {noun}"


@pytest.mark.parametrize(
    ("names", "text"), [("A", "A"), ("AB", "A and B"), ("ABC", "A, B and C"), ("ABCD", "A, B, C and D")]
)
def test_names_in_a_sentence(names, text):
    assert listed(names) == listed(iter(names)) == text


def test_the_first_names_and_how_many_more_there_are():
    assert [first_few("abcde"), first_few("abcdef"), first_few("abc", most=1)] == [
        "a, b, c, d, e",
        "a, b, c, d, e and 1 more",
        "a and 2 more",
    ]
