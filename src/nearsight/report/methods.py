"""How a method, a model, a stage and a fraction look and are called: fixed everywhere on the page.

The first colours are those of Okabe and Ito (Color Universal Design, 2008); no palette keeps fourteen
lines apart for every eye, so that every method has a symbol of its own as well. A variant of a method
keeps its symbol, hollow or dotted, in a darker or lighter shade and with another dash.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Method:
    """Looks and words of one way of choosing points."""

    name: str
    colour: str
    symbol: str
    meaning: str
    #: completes "1 % of the points, …"
    chosen: str = ""
    #: of its lines
    dash: str = "solid"

    @property
    def in_sentence(self) -> str:
        """The name within a sentence: names that begin with a plain word lose their capital."""
        plain = all(c.islower() or c in " -" for c in self.name.split(" (")[0][1:])
        return self.name[0].lower() + self.name[1:] if plain and len(self.name) > 1 else self.name


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
    "el2n": Method(
        "EL2N",
        "#d6b80d",
        "triangle-down",
        "the points with the largest residual, early in training",
        "chosen by EL2N",
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
    "density": Method(
        "Density-weighted",
        "#56b4e9",
        "hexagon",
        "points drawn more often where there is more density",
        "chosen by their density",
    ),
    "k_centre": Method(
        "k-centre",
        "#4e7cff",
        "cross",
        "always the point farthest from those chosen so far",
        "chosen by k-centre",
    ),
    "facility": Method(
        "Facility location",
        "#1717f4",
        "pentagon",
        "points that together lie as near as possible to all others",
        "chosen by facility location",
    ),
    "herding": Method(
        "Herding",
        "#5a0fb4",
        "bowtie",
        "points whose mean follows the mean of all",
        "chosen by herding",
    ),
    "dual": Method(
        "DUAL",
        "#dc0a45",
        "hourglass",
        "points that are both uncertain and hard while training, mixed with easier ones as fewer are kept",
        "chosen by DUAL",
    ),
    "strata": Method(
        "Strata",
        "#a3c46a",
        "triangle-right",
        "a share from every class of density and gradient",
        "chosen by strata",
    ),
    "snapshots": Method(
        "Whole snapshots",
        "#2a2a66",
        "star-diamond",
        "all points of a few snapshots, which saves DFT runs too",
        "in whole snapshots",
    ),
    "d_optimal": Method(
        "D-optimal",
        "#0f4f18",
        "hexagram",
        "points that together settle a linear model of the features best",
        "chosen by D-optimal design",
    ),
}
_SPARE = (
    ("#a6611a", "octagon"),
    ("#e377c2", "star-square"),
    ("#1f9bcf", "star-triangle-up"),
    ("#6b8e23", "square-x"),
    ("#a05195", "circle-cross"),
    ("#665191", "diamond-tall"),
)
#: of the second, third … variant of a method: share of black (below zero: of white), dash, kind of symbol
_SHADES = (
    (0.35, "dash", "-open"),
    (-0.35, "dot", "-dot"),
    (0.55, "dashdot", "-open-dot"),
    (-0.5, "longdash", "-open"),
    (0.2, "longdashdot", "-dot"),
)

#: names of models and schedules
_MODELS = {
    "mlp": "network",
    "gaussian_process": "Gaussian process",
    "linear": "linear model",
    "ensemble": "ensemble",
}
_SCHEDULES = {"steps": "equal steps", "epochs": "equal epochs", "direct": ""}

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


def looks(pairs: Iterable[tuple[str, str]]) -> dict[str, Method]:
    """Looks of each label of (method, label) pairs; variants of one method count in their order.

    The variant that is labelled as the method itself is looked after first, so that ``ccs`` looks the
    same in every study.
    """
    labels: dict[str, list[str]] = {}
    for name, label in pairs:
        if label not in labels.setdefault(name, []):
            labels[name].append(label)
    found = {}
    for name, variants in labels.items():
        for number, label in enumerate(sorted(variants, key=lambda v: v != name)):
            found[label] = _variant(name, label, number)
    return found


def _variant(name: str, label: str, number: int) -> Method:
    look = method(name)
    if label != name:
        words = label.removeprefix(name)
        called = f"{look.name}{words}" if words != label and words[:1] == " " else label
        chosen = f"{look.chosen}{words}" if called != label else f"chosen by {label}"
        look = replace(look, name=called, chosen=chosen)
    if not number:
        return look
    share, dash, kind = _SHADES[(number - 1) % len(_SHADES)]
    return replace(look, colour=_shade(look.colour, share), dash=dash, symbol=look.symbol + kind)


def _shade(colour: str, share: float) -> str:
    """A colour mixed with black, or with white where the share is negative."""
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    end = 0 if share > 0 else 255
    return "#" + "".join(f"{round(p + abs(share) * (end - p)):02x}" for p in parts)


def rank(key: str) -> int:
    """Position in every legend and table."""
    return list(_KNOWN).index(key) if key in _KNOWN else len(_KNOWN)


def setup_name(model: str, schedule: str) -> str:
    """What a model and its schedule are called, such as ``network, equal steps``."""
    stem = next((key for key in _MODELS if model == key or model.startswith(f"{key} ")), None)
    called = model if stem is None else _MODELS[stem] + model.removeprefix(stem)
    return ", ".join(part for part in (called, _SCHEDULES.get(schedule, schedule)) if part)
