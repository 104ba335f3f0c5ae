"""Every note of the readers has a German and a Spanish text: a test finds each sentence in the source of the
readers."""

import ast
import importlib
import itertools
import re
from dataclasses import replace
from pathlib import Path

import pytest

import ich_lib
from ich_lib.demo import many, session, viewer
from ich_lib.grammar import count
from ich_lib.prepare.corruptions import CORRUPTIONS, SEVERITIES
from ich_lib.readers.geometry import Gap, gap_note
from ich_lib.readers.slabs import Slabs
from ich_lib.words.notes import note_by_language, note_in
from ich_lib.words.refusals import known_refusal
from ich_lib.words.table import read_table
from tests.viewed import doubtful_result, result

LIBRARY = Path(ich_lib.__file__).parent
FILES = [*sorted((LIBRARY / "readers").glob("*.py")), LIBRARY / "demo" / "session.py"]
FILLED_IN = {  # expressions in the source whose values are words, to examples of them
    "left_out_counts": ["3 scout views, 1 damaged file"],
    "chosen.line": ['series 1 of 2, "Abd. 5.0 H31s" (34 slices, 2.5 mm apart, kernel H31s)'],
    "_lines(others)": ["series 2 of 12 (1 slice); 4 others"],
    "series.name": ['series 2 of 2, "Abd. Bone"'],
    "refusal.reason": ["a.zip is locked with a password."],
    "listed(missing)": ["2, 3 and 5"],
    "', '.join((f'to the {_TOWARD[letter]}' for letter in letters))": ["to the left, to the back, to the foot"],
    "' and on '.join(dict.fromkeys(ends))": ["foot and head", "left and right and on front and back"],
    "_ORDINAL[changed.across]": ["first", "second", "third"],
    "_ORDINAL[across_before]": ["third"],
    "unit_names[factor]": ["mm", "meters", "microns"],
    "sample": [
        "its pictures have other names than those in brain.",
        "its pictures have another size than those in brain.",
        "a file holds several pictures.",
        "its pictures are too large.",
        "pictures of 8 bits are needed.",
        "it shows the same window as brain.",
        "it has too few grays in common with brain.",
    ],
    "unit_name": ["mm", "meters", "microns"],
}
NO_NOTES = {  # other sentences in these files
    "A file cannot be used: 9.",
    "Check the path: there is no file or folder of that name.",
    'Choose one by its number: "9" as the series.',
    "Choose one by its number: --series 9.",
    "Choose one by its number: read(path, series=9).",
    "It has no HU.",
    "Send the file again.",
}
IMPOSSIBLE = re.compile(r"such places?\) .* one is missing|of 9 mm were averaged, 9 at a time, to 9\.")


def _assigned(top):
    """The names that a function assigns, and their values."""
    for node in ast.walk(top):
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
            if isinstance(target, ast.Name):
                yield target.id, value
            elif isinstance(target, ast.Tuple) and isinstance(value, ast.GeneratorExp):
                yield from ((name.id, value.elt) for name in target.elts)


def _format(text, values):
    """Like `str.format`, with any sign for a number and "9" for a missing value."""
    return re.sub(r"\{(\d?)[^}]*\}", lambda place: [*values, *"99"][int(place[1] or 0)], text)


class Sentences:
    """All forms of the sentences in the source of a module that are not raised."""

    def __init__(self, path):
        name = path.relative_to(LIBRARY.parent).with_suffix("")
        self.module = importlib.import_module(".".join(name.parts).removesuffix(".__init__"))
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        self.local = {}

    def __iter__(self):
        for top in self.tree.body:
            self.local = dict(_assigned(top))
            for text in self._inside(top):
                if re.fullmatch(r'["A-Z0-9][^\n]* [^\n]*\.', text.strip()) and not re.search(r"\{\d", text):
                    yield text.strip()

    def _inside(self, node):
        if isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            return
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("ReadError", "super().__init__"):
            return
        if isinstance(node, ast.GeneratorExp) and (rows := self._rows(node.generators[0])):
            for row in rows:
                self.local |= row
                yield from self._inside(node.elt)
            return
        texts = self.forms(node)
        if texts:
            yield from texts
        else:
            for child in ast.iter_child_nodes(node):
                yield from self._inside(child)

    def _rows(self, loop):
        """Name to value in each turn of a loop over a table that is written in the function."""
        table = self.local.get(ast.unparse(loop.iter))
        if not isinstance(table, ast.Tuple) or not isinstance(loop.target, ast.Tuple):
            return []
        names = [name.id for name in loop.target.elts]
        return [dict(zip(names, row.elts, strict=True)) for row in table.elts]

    def forms(self, node):
        """The texts that an expression can have; empty if it is not a text."""
        if ast.unparse(node) in FILLED_IN:
            return FILLED_IN[ast.unparse(node)]
        if isinstance(node, ast.Constant):
            return [node.value] if isinstance(node.value, str) else []
        if isinstance(node, ast.JoinedStr):
            return ["".join(parts) for parts in itertools.product(*map(self._part, node.values))]
        if isinstance(node, ast.IfExp):
            return self.forms(node.body) + self.forms(node.orelse)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return [a + b for a, b in itertools.product(self.forms(node.left), self.forms(node.right))]
        if isinstance(node, ast.Name):
            if node.id in self.local:
                value = self.local.pop(node.id)  # so that no name is looked up within its own value
                texts = self.forms(value)
                self.local[node.id] = value
                return texts
            text = getattr(self.module, node.id, None)
            return [text] if isinstance(text, str) else []
        return self._called(node) if isinstance(node, ast.Call) else []

    def _part(self, node):
        if isinstance(node, ast.FormattedValue):
            percent = "%" if node.format_spec and "%" in ast.unparse(node.format_spec) else ""
            return self.forms(node.value) or [f"9{percent}"]
        return self.forms(node)

    def _called(self, node):
        if ast.unparse(node.func) == "count":
            return [count(number, noun) for noun in self.forms(node.args[1]) for number in (1, 9)]
        if not isinstance(node.func, ast.Attribute) or not (texts := self.forms(node.func.value)):
            return []
        if node.func.attr == "format":
            values = itertools.product(*(self.forms(argument) or ["9"] for argument in node.args))
            return [_format(text, chosen) for text, chosen in itertools.product(texts, list(values))]
        if node.func.attr == "rstrip":
            return [text.rstrip() for text in texts]
        if node.func.attr == "replace":
            return [text.replace(*(self.forms(argument)[0] for argument in node.args)) for text in texts]
        return []


def is_refusal(text):
    """Whether it is a refusal, or the advice in a refusal."""
    return any(known_refusal(whole, "de") for whole in (text, f"a.zip holds no file. {text}"))


TEXTS = sorted({text for path in FILES for text in Sentences(path)})
NOTES = [
    text
    for text in TEXTS
    if note_in(text, "de") or not (text in NO_NOTES or IMPOSSIBLE.search(text) or is_refusal(text))
]


def numbers(text):
    return {number.replace(",", ".") for number in re.findall(r"\d+(?:[.,]\d+)?", text)}


def test_the_walk_finds_the_notes_in_all_their_forms():
    assert len(NOTES) > 85
    for text in (
        "Left out: 1 slice without a position.",
        "Left out: 9 repeated slices.",
        "A rim around the slice (9% of the picture) was taken as air.",
        'Could not be read: series 2 of 2, "Abd. Bone". a.zip is locked with a password.',
        "9 slices of 9 mm were averaged, 9 at a time, to 9 of 9 mm. Left out: 1 slice at the foot end.",
        "Slices 9 and 9 are 9 mm apart instead of 9 mm: one is missing. The head in this gap is not seen. In volumes, "
        "the slices beside it reach half-way into it.",
    ):
        assert text in NOTES


def test_what_is_called_no_note_is_in_the_source():
    assert set(TEXTS) >= NO_NOTES


@pytest.mark.parametrize("language", ["de", "es"])
def test_every_note_is_translated_as_a_whole_with_its_numbers(language):
    assert [text for text in NOTES if note_in(text, language) in (None, text)] == []
    for text in NOTES:
        assert numbers(note_in(text, language)) == numbers(text), text


def test_every_kind_of_file_that_is_left_out_has_its_words():
    source = Sentences(LIBRARY / "readers" / "header.py")
    (function,) = (node for node in source.tree.body if getattr(node, "name", "") == "_reason_not_ct")
    returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    kinds = {kind for value in returned for kind in source.forms(value)}
    counted = (node for node in ast.walk(source.tree) if isinstance(node, ast.Subscript))
    kinds |= {kind for node in counted if ast.unparse(node.value) == "left_out" for kind in source.forms(node.slice)}
    assert {"scout view", "9 image", "damaged file", "table of contents (DICOMDIR)"} <= kinds
    for kind, number in itertools.product(kinds, (1, 9)):
        for language in ("de", "es"):
            translation = note_in(f"Left out: {count(number, kind)}.", language)
            assert translation, kind
            assert kind.split()[-1] not in translation.split(": ")[1].split(), translation


EXAMPLES = {
    "counts": "34 slices",
    "series": "series 5 of 6",
    "names": "7, 8 and 9",
    "terms": "first",
    "refusal": "a.zip is locked with a password.",
}
FRAMES = {
    "notes": "{}",
    "counted": "Left out: {}.",
    "series": "Read: {}. Not read: series 1 of 2. Another one can be chosen by its number.",
}


@pytest.mark.parametrize("group", FRAMES)
def test_planted_names_and_numbers_come_out_of_every_translation(group):
    for entry in read_table("notes")[group]:
        places = re.findall(r"\{(\w+)\}", entry["en"])
        planted = {name: EXAMPLES.get(name.rstrip("2"), f"{12.5 + k}") for k, name in enumerate(places)}
        text = FRAMES[group].format(entry["en"].format(**planted))
        for language in ("de", "es"):
            assert set(re.findall(r"\{(\w+)\}", entry[language])) == set(places)
            translation = note_in(text, language)
            assert translation, text
            assert numbers(translation) == numbers(text), translation
            assert not re.search(r"\d\.\d", translation), translation


def test_numbers_of_the_readers_stand_in_a_german_and_a_spanish_sentence():
    gap = gap_note((Gap(3, 10.0, 5.0),), 41.6)
    assert note_in(gap, "de").startswith(
        "Die Schichten 4 und 5 liegen 10,0 mm statt 5,0 mm auseinander: Eine Schicht fehlt."
    )
    assert "Hasta 42 mL de la cabeza" in note_in(gap, "es")
    (averaged,) = Slabs(2, 1, 641).notes(0.25)
    assert note_in(averaged, "de") == (
        "641 Schichten von 0,25 mm wurden zu je 2 gemittelt; das ergibt 320 Schichten von 0,5 mm. "
        "Am Fußende ausgelassen: 1 Schicht."
    )


def test_the_description_of_a_series_stays_as_the_scanner_wrote_it():
    text = 'Read: series 1 of 3, "Abd. 34 slices 5.0" (34 slices, 2.5 mm apart, kernel H31s). Not read: series 2 of 3 '
    text += "(1 slice); 1 other. Another one can be chosen by its number."
    assert note_in(text, "de") == (
        'Gelesen: Serie 1 von 3, "Abd. 34 slices 5.0" (34 Schichten, Abstand 2,5 mm, Kernel H31s). Nicht gelesen: '
        "Serie 2 von 3 (1 Schicht); 1 weitere. Eine andere Serie lässt sich über ihre Nummer auswählen."
    )


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_what_was_corrupted_on_purpose_is_told_with_its_strength(name):
    for severity in SEVERITIES:
        strength = CORRUPTIONS[name].strength(severity)
        for language in ("de", "es"):
            assert numbers(note_in(f"Corrupted on purpose: {name}, {strength}.", language)) == numbers(strength)


@pytest.mark.parametrize(
    "text",
    [
        "The moon is full.",
        "Left out: 1 mask. The moon is full.",
        "Left out: 2 moons.",
        "Left out: 1 mask, 2 moons.",
        "Could not be read: series 2 of 2. The moon is full.",
        "The skull shows that the axes of the file run to the moon; left and right are assumed.",
    ],
)
def test_a_note_that_is_not_in_the_table_stays_english(text):
    assert note_by_language(text) == {"en": text}


def test_an_unknown_language_is_refused():
    with pytest.raises(ValueError, match="no sentences in 'xx'"):
        note_in("Left out: 1 mask.", "xx")


KNOWN, ODD = (
    "The slice spacing varies between 2.4 and 4.8 mm. In volumes, each slice reaches half-way to its neighbors.",
    "Odd.",
)


def test_the_viewer_gets_a_note_in_every_language_before_and_with_the_finding():
    planted = result(warnings=[KNOWN, ODD], notes=(KNOWN, ODD))
    for message in (viewer.scan_picture(planted.scan), viewer.findings(planted), viewer.payload(planted)):
        known, odd = message["report"]["warnings"]
        assert known["en"] == KNOWN
        assert known["de"].startswith("Der Schichtabstand schwankt zwischen 2,4 und 4,8 mm. ")
        assert known["es"].startswith("La distancia entre cortes varía entre 2,4 y 4,8 mm. ")
        assert odd == {"en": ODD}


def test_a_threshold_that_a_person_set_is_told_in_every_language():
    moved = session.at_threshold(result(), 230)
    (translation,) = viewer.findings(moved)["report"]["warnings"]
    assert translation["de"] == "Die Schwelle der Maske wurde von Hand auf 0,90 gesetzt; der Wert des Modells ist 0,50."


def test_the_table_of_studies_gets_doubts_and_notes_in_every_language():
    doubtful = doubtful_result()
    doubt, note, odd = many._warnings(replace(doubtful, warnings=(doubtful.doubts[0].sentence, KNOWN, ODD)))
    assert doubt["en"] == doubtful.doubts[0].sentence
    assert doubt["de"].startswith("Das Bild weicht zu stark von einer CT-Schicht ab")
    assert note == note_by_language(KNOWN)
    assert len(set(note.values())) == 3
    assert odd == {"en": ODD}
