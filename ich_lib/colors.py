"""The colors of every page and figure: the palette of Okabe and Ito, which color-blind people can distinguish.

No other file of the library defines a color (a test checks this). Pages get MEANINGS from here, as CSS variables and in
scripts.

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
GRAY = "#999999"  # grid lines and other guides

# Yellow with a black halo is visible on brain and on blood; no single color is. The truth is dashed.
MASK, TRUTH, UNSURE, YOURS = YELLOW, SKY, ORANGE, VERMILION  # the learner's drawing in the quiz
MEANINGS = {"mask": MASK, "truth": TRUTH, "unsure": UNSURE, "brain": GRAY}  # names of the demo's page
# the mask of only one of two models, of the other, of both
DIFFERENCE = {"first": ORANGE, "second": SKY, "both": YELLOW}


def rgb(color: str) -> tuple[int, int, int]:
    """Red, green and blue, from 0 to 255.

    >>> rgb(SKY)
    (86, 180, 233)
    """
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue
