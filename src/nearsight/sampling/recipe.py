"""Recipes: which structures to make, by which dynamics, for which part of the data."""

import re
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, PositiveInt, ValidationError, field_validator, model_validator

from nearsight.errors import InputError
from nearsight.provenance import digest
from nearsight.sampling.crystals import Crystal, FromFile
from nearsight.sampling.dynamics import Dynamics
from nearsight.sampling.strict import Strict
from nearsight.sampling.water import Water

StructureSpec = Annotated[Crystal | FromFile | Water, Field(discriminator="kind")]
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._+-]+")


class Trajectory(Strict):
    """Frames that come from one run, and so belong to one part of the data.

    Attributes
    ----------
    name : str
    split : str
        ``train``, ``validation`` or ``test``.
    structure : Crystal, FromFile or Water
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


class Recipe(Strict):
    """A list of trajectories.

    ``structure`` and ``dynamics`` at the top level are what each trajectory has unless it says
    otherwise, key by key.
    """

    name: str
    description: str = ""
    trajectories: tuple[Trajectory, ...] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, content: Any) -> Any:
        """Give the trajectories what the top level says once for all."""
        if not isinstance(content, Mapping) or not isinstance(content.get("trajectories"), list | tuple):
            return content
        common = {key: content[key] for key in ("structure", "dynamics") if key in content}
        rest = {key: value for key, value in content.items() if key not in common}
        return rest | {"trajectories": [_merged(common, t) for t in content["trajectories"]]}

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


def read_recipe(source: str | Path) -> Recipe:
    """Read a recipe from a YAML file, or one that the package ships by its name.

    Raises
    ------
    InputError
        No such file or name, no YAML, or a key that is unknown, missing or wrong; the message names it.
    """
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
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "recipe"
        raise InputError(f"{source}: '{key}': {first['msg'].removeprefix('Value error, ')}") from error


def _merged(common: Mapping[str, Any], trajectory: Any) -> Any:
    """A trajectory's own keys over the common ones; another kind of structure starts afresh."""
    if not isinstance(trajectory, Mapping):
        return trajectory
    merged = dict(common) | dict(trajectory)
    for key in common:
        own = trajectory.get(key)
        if isinstance(own, Mapping) and isinstance(common[key], Mapping):
            afresh = own.get("kind", common[key].get("kind")) != common[key].get("kind")
            merged[key] = dict(own) if afresh else dict(common[key]) | dict(own)
    return merged
