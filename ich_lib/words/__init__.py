"""A result to sentences, in the languages of the demo."""

from ich_lib.words.languages import LANGUAGES, in_each_language
from ich_lib.words.sentences import phantom_sentence, provenance, result_sentence, unsure_sentence, volume_sentence

__all__ = [
    "LANGUAGES",
    "in_each_language",
    "phantom_sentence",
    "provenance",
    "result_sentence",
    "unsure_sentence",
    "volume_sentence",
]
