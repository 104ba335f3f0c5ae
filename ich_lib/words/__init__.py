"""A result to sentences, in the languages of the demo."""

from ich_lib.words.languages import LANGUAGES, in_each
from ich_lib.words.sentences import doubts, made_by, origin, sentence, volume

__all__ = ["LANGUAGES", "doubts", "in_each", "made_by", "origin", "sentence", "volume"]
