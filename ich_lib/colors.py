"""The colors of every page and figure: those of Okabe and Ito, which color-blind eyes tell apart.

No other file of the library names them (a test looks); pages get MEANINGS from here, as CSS variables and in scripts.

Source:
    Okabe and Ito 2008, Color Universal Design.
"""

ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
GRAY = "#999999"  # lines that only guide the eye

# Yellow with a black halo is told from brain and from blood, as no hue alone is. The truth is dashed beside it.
MASK, TRUTH, UNSURE, YOURS = YELLOW, SKY, ORANGE, VERMILION  # yours: drawn in the quiz
MEANINGS = {"mask": MASK, "truth": TRUTH, "unsure": UNSURE}  # as the demo's page names them
DIFFERENCE = {"first": ORANGE, "second": SKY, "both": YELLOW}  # what one of two models marks, the other, and both


def rgb(color: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255.

    >>> rgb(SKY)
    (86, 180, 233)
    """
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue
