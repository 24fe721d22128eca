"""Settings objects from mappings: what a file says, checked by the class that means it."""

from collections.abc import Mapping
from typing import Any

from nearsight.coreset.protocol import METHODS, SelectionMethod
from nearsight.errors import InputError
from nearsight.networks.protocol import NETWORKS, NetworkSettings


def build(kind: type[Any], settings: Mapping[str, Any], where: str) -> Any:
    """Make a settings object; an unknown key or a value of the wrong type is an `InputError`."""
    try:
        return kind(**settings)
    except TypeError as error:
        known = ", ".join(getattr(kind, "__dataclass_fields__", {}))
        detail = str(error).replace(f"{kind.__name__}.__init__() ", "")
        if "__init__" not in str(error):  # a comparison inside: the key is right, its value is not
            detail = f"a value has the wrong type ({detail}); given: {dict(settings)}"
        raise InputError(f"'{where}' settings: {detail}; known settings: {known}") from None


def build_selection(name: str, settings: Mapping[str, Any], where: str = "") -> SelectionMethod:
    """The selection method of that name; raises `InputError` for a name or setting that is not known."""
    method: SelectionMethod = build(METHODS[name], settings, where or f"methods: {name}")
    return method


def network_settings(settings: Mapping[str, Any], where: str = "network") -> NetworkSettings:
    """Network settings from a configuration's ``network`` part; ``name`` says which kind."""
    rest = dict(settings)
    network: NetworkSettings = build(NETWORKS[str(rest.pop("name", "mlp"))], rest, where)
    return network
