"""The severity from which a corruption makes a model fail, in one sentence."""

from ich_lib.grammar import listed

TOLERATED_DROP = 0.1  # of any of DECIDING: a model that loses more has failed
DECIDING_FIGURES = ("dice_per_subject", "slice_auc_any", "scan_sensitivity", "scan_specificity")


def first_failing_severity(report: dict, name: str) -> int | None:
    """The mildest severity of a corruption at which the models fail; None if they do not fail at any.

    They fail if Dice, slice AUC, sensitivity or specificity `is_failing`.
    """
    for row in report["corruptions"][name]["severities"]:
        if any(is_failing(row[key]["change"]) for key in DECIDING_FIGURES):
            return row["severity"]
    return None


def is_failing(change: dict) -> bool:
    """Whether a figure fell by more than TOLERATED, with its interval below zero."""
    return change["value"] is not None and change["value"] < -TOLERATED_DROP and change["high"] < 0


def summary_sentence(report: dict) -> str:
    """The report in one sentence."""
    models = listed(dict.fromkeys(model["name"] for model in report["models"]))
    failing = [f"{name} ({_strength(report, name, at)})" for name, at in report["not_believed_from"].items() if at]
    tolerated = [name for name, at in report["not_believed_from"].items() if not at]
    opening, measures = f"On {report['scans']} scans ({report['data']})", "Dice, slice AUC, sensitivity or specificity"
    if not failing:
        return (
            f"{opening} {models} bore all that was tried: no loss of more than {TOLERATED_DROP} of {measures} was "
            "shown."
        )
    exception = f", which was shown for no severity of {listed(tolerated)}" if tolerated else ""
    return (
        f"{opening} nobody should believe {models} from here on: {', '.join(failing)}; there more than "
        f"{TOLERATED_DROP} of {measures} "
        f"is lost{exception}."
    )


def _strength(report: dict, name: str, severity: int) -> str:
    corruption = report["corruptions"][name]
    return f"{corruption['severities'][severity - 1]['strength']:g} {corruption['unit']}"
