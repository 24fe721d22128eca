"""Which part of the data a trajectory belongs to: settled once, by whoever writes it first."""

from pathlib import Path

from nearsight.errors import StoreError
from nearsight.io.atomic import atomic_folder
from nearsight.io.zarr_groups import read_attributes, write_group
from nearsight.provenance import digest


class Trajectories:
    """The claims in a data set: one group a trajectory, which holds its name and its split.

    A claim appears by a rename and is never changed, so that writers need no lock: of two that
    race, the second finds the first one's claim.

    Parameters
    ----------
    store : Path
        The data set.
    """

    def __init__(self, store: Path) -> None:
        self._store = store

    def splits(self) -> dict[str, str]:
        """The split of every trajectory, by name."""
        claims = (read_attributes(p.parent) for p in (self._store / "trajectories").glob("*/zarr.json"))
        return dict(sorted((claim["trajectory"], claim["split"]) for claim in claims))

    def claim(self, trajectory: str, split: str) -> None:
        """Settle the split of a trajectory, or check it where it is settled.

        Raises
        ------
        StoreError
            The trajectory belongs to another split.
        """
        target = self._folder(trajectory)
        if not target.exists():
            try:
                with atomic_folder(target, self._store) as folder:
                    write_group(folder, {"trajectory": trajectory, "split": split})
            except FileExistsError:
                pass  # the check below compares with the winner's claim
        self.require(trajectory, split)

    def require(self, trajectory: str, split: str) -> None:
        """Raise `StoreError` if the trajectory belongs to another split; free ones pass."""
        try:
            claimed = read_attributes(self._folder(trajectory))["split"]
        except FileNotFoundError:
            return
        if claimed != split:
            raise StoreError(
                f"trajectory '{trajectory}' of {self._store} belongs to the {claimed} part; its frames are "
                f"near copies of each other, so none may go to the {split} part"
            )

    def _folder(self, trajectory: str) -> Path:
        return self._store / "trajectories" / digest(trajectory)
