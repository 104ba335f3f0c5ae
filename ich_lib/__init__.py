"""Intracranial hemorrhage on head CT: from a file to a result, and every step between, to learn from.

The modules in the order the data flows: read, scan, window, head, pictures, engine, predict, report, show; and for
training: phantom, datasets, split, batches, recipes, models, losses, train, export, metrics, statistics, evaluate.
Teaching and research only; not a medical device.
"""

__version__ = "0.2.0"
