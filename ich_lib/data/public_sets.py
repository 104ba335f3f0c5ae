"""Public data sets of head CT with hemorrhage: terms, citation, size, and where to get them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PublicSet:
    """A published data set: its source and the allowed uses.

    Attributes:
        title: the set's own.
        terms: the license and its conditions, in words.
        citation: what to cite.
        size: as far as it is known, in words.
        page: for a browser.
        needs_account: None for an open set; else how to get it.
        url: the folder on the server that holds SHA256SUMS.txt; None if an account is needed.
        bytes_about: expected size, to refuse a disk that is too small.
        sums_sha256: hash of SHA256SUMS.txt itself, if it is known.
    """

    title: str
    terms: str
    citation: str
    size: str
    page: str
    needs_account: str | None = None
    url: str | None = None
    bytes_about: int = 0
    sums_sha256: str | None = None


PUBLIC_SETS = {
    "ct-ich": PublicSet(
        title="CT-ICH 1.0.0: Computed Tomography Images for Intracranial Hemorrhage Detection and Segmentation",
        terms="Creative Commons Attribution 4.0 (CC BY 4.0): name the authors and say what was changed.",
        citation="Hssayeni MD, Croock MS, Salman AD, Al-khafaji HF, Yahya ZA, Ghoraani B. Intracranial Hemorrhage "
        "Segmentation Using a Deep Convolutional Model. Data 2020;5(1):14. Data set: doi 10.13026/w8q8-ky94",
        size="about 110 MB in about 5,300 files (82 patients; estimated from 66 of them)",
        page="https://physionet.org/content/ct-ich/1.0.0/",
        url="https://physionet.org/files/ct-ich/1.0.0/",
        bytes_about=110_000_000,
    ),
    "ct-ich-1.3.1": PublicSet(
        title="CT-ICH 1.3.1: Computed Tomography Images for Intracranial Hemorrhage Detection and Segmentation (NIfTI)",
        terms="PhysioNet Restricted Health Data License 1.5.0: not to be passed on, nor used to identify anyone.",
        citation="Hssayeni M. Computed Tomography Images for Intracranial Hemorrhage Detection and Segmentation "
        "(version 1.3.1). PhysioNet 2020. doi 10.13026/4nae-zg36",
        size="75 scans",
        page="https://physionet.org/content/ct-ich/1.3.1/",
        needs_account="Log in at https://physionet.org/content/ct-ich/1.3.1/, sign its data use agreement, then: "
        "wget -r -N -c -np --user YOUR_NAME --ask-password https://physionet.org/files/ct-ich/1.3.1/",
    ),
    "rsna-2019": PublicSet(
        title="RSNA Intracranial Hemorrhage Detection (2019)",
        terms="Rules of the competition on Kaggle: non-commercial; everybody downloads their own copy.",
        citation="Flanders AE, Prevedello LM, Shih G, et al. Construction of a Machine Learning Dataset through "
        "Collaboration: The RSNA 2019 Brain CT Hemorrhage Challenge. Radiology: Artificial Intelligence 2020;2(3)",
        size="752,803 labeled DICOM slices",
        page="https://www.kaggle.com/c/rsna-intracranial-hemorrhage-detection",
        needs_account="With a Kaggle account, accept the rules at "
        "https://www.kaggle.com/c/rsna-intracranial-hemorrhage-detection/rules, then: "
        "kaggle competitions download -c rsna-intracranial-hemorrhage-detection",
    ),
    "cq500": PublicSet(
        title="CQ500 (Qure.ai)",
        terms="Creative Commons Attribution-NonCommercial-ShareAlike 4.0 (CC BY-NC-SA 4.0).",
        citation="Chilamkurthy S, Ghosh R, Tanamala S, et al. Deep learning algorithms for detection of critical "
        "findings in head CT scans: a retrospective study. Lancet 2018;392:2388-2396",
        size="491 scans",
        page="http://headctstudy.qure.ai/dataset",
        needs_account="Ask Qure.ai for it at http://headctstudy.qure.ai/dataset; it requires an e-mail address.",
    ),
    "renders": PublicSet(
        title="Zeta Surgical / Centaur Labs renders of RSNA slices",
        terms="Not public.",
        citation="as agreed with the owners",
        size="not published",
        page="",
        needs_account="The set is not public. If you have a copy, name its folder with --data.",
    ),
}


def terms(name: str) -> str:
    """The set, its allowed uses and its citation, as lines to print before a download.

    Args:
        name: a key of PUBLIC_SETS.

    Raises:
        ValueError: if there is no such set.
    """
    if name not in PUBLIC_SETS:
        raise ValueError(f"There is no set {name!r}. Choose one of: {', '.join(PUBLIC_SETS)}.")
    dataset = PUBLIC_SETS[name]
    return "\n".join(
        (
            dataset.title,
            f"Terms: {dataset.terms}",
            f"Cite: {dataset.citation}",
            f"Size: {dataset.size}",
            f"Access: {'not without its owners or your own account' if dataset.needs_account else 'open, no account'}",
        )
    )
