"""Recipes: which structures to make, by which dynamics, for which part of the data."""

import re
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import ConfigDict, Field, PositiveInt, ValidationError, field_validator, model_validator

from nearsight.errors import InputError
from nearsight.provenance import digest
from nearsight.sampling.allotropes import Allotrope
from nearsight.sampling.alloys import Alloy
from nearsight.sampling.crystals import Crystal, FromFile
from nearsight.sampling.dislocations import Dislocation
from nearsight.sampling.dynamics import Dynamics
from nearsight.sampling.elements import ElementalCrystal
from nearsight.sampling.expansion import at_size, with_common
from nearsight.sampling.grain_boundaries import GrainBoundary
from nearsight.sampling.molecules import Molecule
from nearsight.sampling.strict import Strict
from nearsight.sampling.water import Water

StructureSpec = Annotated[
    Allotrope
    | Alloy
    | Crystal
    | Dislocation
    | ElementalCrystal
    | FromFile
    | GrainBoundary
    | Molecule
    | Water,
    Field(discriminator="kind"),
]
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._+-]+")


class Trajectory(Strict):
    """Frames that come from one run, and so belong to one part of the data.

    Attributes
    ----------
    name : str
    split : str
        ``train``, ``validation`` or ``test``.
    structure : Crystal, Alloy, Water, …
        Where it starts.
    dynamics : Dynamics, optional
        Without it every frame is a newly built structure.
    frames : int
    """

    name: str
    split: Literal["train", "validation", "test"]
    structure: StructureSpec
    dynamics: Dynamics | None = None
    frames: PositiveInt = 1

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(f"'{name}' must start with a letter and have letters, digits and . _ + - only")
        return name


class EngineChoice(Strict):
    """Which engine labels the structures, and its settings, which are checked by the engine itself.

    Attributes
    ----------
    name : str
        ``lcao``, ``planewave`` …
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = "lcao"

    @property
    def settings(self) -> dict[str, Any]:
        """What the engine is given."""
        return dict(self.model_extra or {})


class Recipe(Strict):
    """A list of trajectories.

    ``structure`` and ``dynamics`` at the top level are what each trajectory has unless it says
    otherwise, key by key.

    Attributes
    ----------
    name, description : str
    size : str, optional
        Which of its sizes this is, where it has some.
    note : str
        What every result must say; it goes with every structure.
    engine : EngineChoice
        What to label the structures with.
    trajectories : tuple of Trajectory
    """

    name: str
    description: str = ""
    size: str | None = None
    note: str = ""
    engine: EngineChoice = EngineChoice()
    trajectories: tuple[Trajectory, ...] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, content: Any) -> Any:
        """Give the trajectories what the top level says once for all."""
        if not isinstance(content, Mapping) or not isinstance(content.get("trajectories"), list | tuple):
            return content
        return with_common(content)

    @field_validator("trajectories")
    @classmethod
    def _distinct(cls, trajectories: tuple[Trajectory, ...]) -> tuple[Trajectory, ...]:
        names = [t.name for t in trajectories]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the name {', '.join(repeated)} is used twice")
        return trajectories

    @property
    def n_frames(self) -> int:
        """Structures it makes."""
        return sum(t.frames for t in self.trajectories)

    def digest(self) -> str:
        """Hash of all settings."""
        return digest(self.model_dump(mode="json"))


def shipped_recipes() -> dict[str, Traversable]:
    """The recipes in the package, by name."""
    entries = files("nearsight.recipes").iterdir()
    found = {e.name.removesuffix(".yaml"): e for e in entries if e.name.endswith(".yaml")}
    return dict(sorted(found.items()))


def read_recipe(source: str | Path, size: str | None = None) -> Recipe:
    """Read a recipe from a YAML file, or one that the package ships by its name.

    Parameters
    ----------
    source : str or path
    size : str, optional
        ``demo`` or ``paper``, where the recipe has them; ``demo`` unless given.

    Raises
    ------
    InputError
        No such file, name or size, no YAML, or a key that is unknown, missing or wrong; the message
        names it.
    """
    content = _content(source)
    try:
        return Recipe.model_validate(at_size(content, size))
    except ValidationError as error:
        found = error.errors()
        # a mistyped key is why another one is missing: it comes first
        first = next((e for e in found if e["type"] == "extra_forbidden"), found[0])
        key = ".".join(str(part) for part in first["loc"]) or "recipe"
        what = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
        raise InputError(f"{source}: '{key}': {what.removeprefix('Value error, ')}") from error
    except ValueError as error:
        raise InputError(f"{source}: {error}") from error


def engine_settings(source: str | Path | Recipe, size: str | None = None) -> tuple[str, dict[str, Any]]:
    """The engine that a recipe's structures are to be labelled with: its name and its settings.

    Parameters and errors are those of `read_recipe`.
    """
    engine = (source if isinstance(source, Recipe) else read_recipe(source, size)).engine
    return engine.name, engine.settings


def _content(source: str | Path) -> dict[str, Any]:
    """What a recipe's file holds, unchecked."""
    shipped = shipped_recipes()
    place = shipped.get(str(source)) if not Path(source).is_file() else Path(source)
    if place is None:
        raise InputError(f"there is no recipe '{source}'; give a YAML file or one of: {', '.join(shipped)}")
    try:
        content = yaml.safe_load(place.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {source}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{source} is no valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(
            f"{source} must hold 'name', 'trajectories' and so on, not a {type(content).__name__}"
        )
    return content
