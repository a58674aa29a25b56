"""The mistakes charrnn can explain to a user. Knows nothing about where they are raised or shown.

Every message is one line that names the offending value and says what to do about it.
"""

from __future__ import annotations


class CharRNNError(Exception):
    """Base of every error that is the user's to mend; the command line shows it in one line."""


class CorpusError(CharRNNError):
    """A text that cannot be read, decoded or trained on."""


class VocabularyError(CharRNNError):
    """A set of characters that is no vocabulary, or a character outside the vocabulary."""


class CheckpointError(CharRNNError):
    """A file that is no checkpoint, or a checkpoint that cannot be trusted, read or written."""


class SettingsError(CharRNNError):
    """A hyperparameter or option outside its range, or two that contradict each other."""


class TrainingError(CharRNNError):
    """A run that cannot start, go on, or has diverged."""
