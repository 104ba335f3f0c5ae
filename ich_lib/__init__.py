"""Intracranial hemorrhage on head CT: from a file to a result, and every step between, to learn from.

The modules in the order the data flows: read, scan, window, head, pictures, engine, calibration, usual, volume,
predict, uncertainty, report, show, viewer, demo; for training: phantom, datasets, store, split, augment, batches,
recipes, models, classical, losses, devices, train, tune, crossval, learned, export, metrics, statistics, evaluate; to
doubt a model: explain, corrupt, strange, robustness, causes, gallery; commands and course for people.
Teaching and research only; not a medical device.
"""

__version__ = "0.6.0"
