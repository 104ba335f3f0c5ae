"""A result as sentences, in the languages of the demo."""

from ich_lib.words.doubts import doubt_sentence
from ich_lib.words.languages import LANGUAGES, in_each_language
from ich_lib.words.sentences import (
    belief_sentence,
    doubt_sentences,
    notes_of,
    phantom_sentence,
    provenance,
    real_head_sentence,
    result_sentence,
    threshold_sentences,
    unsure_sentence,
    verdict_sentence,
    volume_sentence,
)

__all__ = [
    "LANGUAGES",
    "belief_sentence",
    "doubt_sentence",
    "doubt_sentences",
    "in_each_language",
    "notes_of",
    "phantom_sentence",
    "provenance",
    "real_head_sentence",
    "result_sentence",
    "threshold_sentences",
    "unsure_sentence",
    "verdict_sentence",
    "volume_sentence",
]
