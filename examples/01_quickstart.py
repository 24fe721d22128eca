"""From ase.Atoms to labelled data, a trained model, a density and its Harris–Foulkes energy.

4-atom aluminium on a coarse grid, so that it takes seconds; run it in an empty folder.
"""

from ase.build import bulk

import nearsight as ns

frames = [bulk("Al", cubic=True, a=4.05) for _ in range(6)]
for seed, atoms in enumerate(frames):
    atoms.rattle(0.1, seed=seed)
    atoms.info["trajectory"], atoms.info["split"] = f"run-{seed}", "validation" if seed == 4 else "train"
*known, unseen = frames

engine = ns.LcaoEngine()
ns.label(known, "al.zarr", engine)
model = ns.train("al.zarr", "al.nst").model
structure = ns.Structure.from_ase(unseen)
density = ns.predict_density(model, structure, engine.default_grid(structure)).density
energy = engine.harris(structure, density).free_energy

truth = engine.ground_state(structure)
errors = ns.density_errors(density, truth.density, structure.n_atoms)
print(f"NMAE {errors.nmae_percent:.2f} %, energy error {1e3 * (energy - truth.free_energy) / 4:.3f} mHa/atom")
