"""Settings as a file gives them: every key known, every value checked, nothing changed later."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Base of the parts of a recipe; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
