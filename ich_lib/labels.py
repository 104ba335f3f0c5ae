"""The six labels: one order and one color each, everywhere."""

# The order of the RSNA 2019 challenge; `any` is last. `normal` and `multiple` are derived, never stored.
LABELS = ("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural", "any")
TYPES = LABELS[:-1]
ANY = LABELS.index("any")
# Okabe-Ito, told apart by color-blind eyes; each stands beside its name. The order is that of LABELS.
COLORS = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#D55E00", "#BBBBBB")
