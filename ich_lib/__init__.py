"""Intracranial hemorrhage on head CT: from a file to a result, and every step between, to learn from.

The rooms, from the ground up: labels, measures, notice, scan; case, a scan with its truth; phantoms; prepare; readers;
data; models; training; prediction; words; show; reports; evaluation; explanation; course and demo; workbench; commands.
A room imports from the rooms below it only. Teaching and research only; not a medical device.
"""

__version__ = "0.6.0"
