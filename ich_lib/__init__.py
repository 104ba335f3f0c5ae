"""Intracranial hemorrhage on head CT: from a file to a result, and every step between, to learn from.

The modules in the order the data flows: read, scan, window, head, pictures, engine, calibration, predict, report, show;
and for training: phantom, datasets, store, split, augment, batches, recipes, models, classical, losses, devices, train,
tune, crossval, export, metrics, statistics, evaluate.
Teaching and research only; not a medical device.
"""

__version__ = "0.3.0"
