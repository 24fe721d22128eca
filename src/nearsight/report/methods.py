"""How a method, a stage and a fraction look and are called: fixed everywhere on the page.

Colours are those of Okabe and Ito (Color Universal Design, 2008), told apart by the colour-blind.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """Looks and words of one way of choosing points."""

    name: str
    colour: str
    symbol: str
    meaning: str
    #: completes "1 % of the points, …"
    chosen: str = ""

    @property
    def in_sentence(self) -> str:
        """The name within a sentence: names that are plain words lose their capital."""
        return self.name.lower() if self.name[1:].islower() else self.name


#: colours of the page's ink, for lines that stand for the truth or a limit
INK, MUTED = "#1c2733", "#5a6675"

ALL = "all"
SUPERPOSED = Method(
    "Superposed atoms", "#8a929c", "x", "densities of free atoms added up; nothing is learned"
)

_KNOWN = {
    "all": Method("All points", "#1c2733", "circle", "every grid point of the training snapshots"),
    "random": Method("Random", "#0072b2", "square", "points drawn at random", "chosen at random"),
    "grand": Method(
        "GraNd",
        "#d55e00",
        "triangle-up",
        "the points with the largest gradient of the loss, early in training",
        "chosen by GraNd",
    ),
    "ccs": Method(
        "CCS",
        "#009e73",
        "diamond",
        "coverage-centric selection: the hardest points dropped, then an even share from every score level",
        "chosen by CCS",
    ),
    "importance": Method(
        "Importance sampling",
        "#cc79a7",
        "star",
        "hard points drawn more often and weighted less, so that the loss stays unbiased",
        "chosen by importance sampling",
    ),
}
_SPARE = (("#e69f00", "pentagon"), ("#56b4e9", "hexagon"), ("#7a5195", "cross"), ("#6b8e23", "bowtie"))

#: stages of a run: attribute of `Seconds`, words, colour (shades that are no method's)
STAGES = (
    ("describe", "Descriptors", "#c9d3df"),
    ("scoring", "Scoring", "#8fa6bf"),
    ("selection", "Selection", "#f0b95b"),
    ("training", "Training", "#3f5f80"),
)


def method(key: str) -> Method:
    """Looks of a method; one that is not known gets a spare colour, settled by its name alone."""
    if key in _KNOWN:
        return _KNOWN[key]
    colour, symbol = _SPARE[sum(key.encode()) % len(_SPARE)]
    return Method(key, colour, symbol, "a method added by a plug-in", f"chosen by {key}")


def rank(key: str) -> int:
    """Position in every legend and table."""
    return list(_KNOWN).index(key) if key in _KNOWN else len(_KNOWN)
