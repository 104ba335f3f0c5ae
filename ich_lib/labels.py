"""The six labels, in one order everywhere."""

# The order of the RSNA 2019 challenge; `any` is last. `normal` and `multiple` are derived, never stored.
LABELS = ("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural", "any")
TYPES = LABELS[:-1]
ANY = LABELS.index("any")
