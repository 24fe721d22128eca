"""Structures of silicon: space group, cell, one atom of each Wyckoff site, and where they come from.

Lengths in Å. Cells under pressure are those that were measured there; hypothetical phases have their
computed zero-pressure cell.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Phase:
    """A crystal structure of one element.

    Attributes
    ----------
    space_group : int
        Its number in the International Tables.
    cell : six float
        a, b, c in Å, α, β, γ in degrees, in the conventional setting.
    sites : tuple of three float
        Fractional coordinates of one atom of each Wyckoff site.
    n_atoms : int
        In the primitive cell.
    coordination : int
        Neighbours within `bond`.
    bond : float
        Longest distance in Å that counts as a bond.
    source : str
        Where cell and coordinates come from.
    setting : int
        Choice of origin or axes, as ASE numbers them; 2 for rhombohedral axes.
    """

    space_group: int
    cell: tuple[float, float, float, float, float, float]
    sites: tuple[tuple[float, float, float], ...]
    n_atoms: int
    coordination: int
    bond: float
    source: str
    setting: int = 1


Angles = tuple[float, float, float]
_RIGHT: Angles = (90.0, 90.0, 90.0)
_HEXAGONAL: Angles = (90.0, 90.0, 120.0)
_ORIGIN = (0.0, 0.0, 0.0)

SILICON: dict[str, Phase] = {
    "diamond": Phase(227, (5.431, 5.431, 5.431, *_RIGHT), (_ORIGIN,), 2, 4, 2.5, "Si-I, ambient"),
    "lonsdaleite": Phase(
        194,
        (3.837, 3.837, 6.317, *_HEXAGONAL),
        ((1 / 3, 2 / 3, 1 / 16),),
        4,
        4,
        2.5,
        "Si-IV, hexagonal (2H); Hauge et al., Nano Lett. 15, 5855 (2015), ideal coordinates",
    ),
    "4h": Phase(
        194,
        (3.837, 3.837, 12.61, *_HEXAGONAL),
        ((0.0, 0.0, 3 / 32), (1 / 3, 2 / 3, 5 / 32)),
        8,
        4,
        2.5,
        "stacking ABCB; bonds of Si-I, ideal coordinates",
    ),
    "beta-tin": Phase(
        141, (4.686, 4.686, 2.585, *_RIGHT), (_ORIGIN,), 2, 6, 2.8, "Si-II; Jamieson, Science 139, 762 (1963)"
    ),
    "imma": Phase(
        74,
        (4.737, 4.502, 2.550, *_RIGHT),
        ((0.0, 0.25, 0.193),),
        2,
        8,
        2.9,
        "Si-XI at 15 GPa; McMahon et al., Phys. Rev. B 50, 739 (1994)",
    ),
    "simple-hexagonal": Phase(
        191,
        (2.551, 2.551, 2.387, *_HEXAGONAL),
        (_ORIGIN,),
        1,
        8,
        2.7,
        "Si-V at 16 GPa; Olijnyk, Sikka, Holzapfel, Phys. Lett. A 103, 137 (1984)",
    ),
    "cmce": Phase(
        64,
        (8.0242, 4.7961, 4.776, *_RIGHT),
        ((0.2179, 0.0, 0.0), (0.0, 0.1718, 0.3284)),
        8,
        10,
        2.75,
        "Si-VI at 38 GPa; Hanfland et al., Phys. Rev. Lett. 82, 1197 (1999)",
    ),
    "hcp": Phase(
        194,
        (2.524, 2.524, 4.142, *_HEXAGONAL),
        ((1 / 3, 2 / 3, 1 / 4),),
        2,
        12,
        2.8,
        "Si-VII at 42 GPa; Olijnyk, Sikka, Holzapfel, Phys. Lett. A 103, 137 (1984)",
    ),
    "fcc": Phase(
        225,
        (3.34, 3.34, 3.34, *_RIGHT),
        (_ORIGIN,),
        1,
        12,
        2.7,
        "Si-X at 87 GPa; Duclos, Vohra, Ruoff, Phys. Rev. Lett. 58, 775 (1987)",
    ),
    "bcc": Phase(
        229,
        (3.09, 3.09, 3.09, *_RIGHT),
        (_ORIGIN,),
        1,
        8,
        2.8,
        "hypothetical; Yin, Cohen, Phys. Rev. B 26, 5668 (1982), cell rounded",
    ),
    "sc": Phase(
        221,
        (2.53, 2.53, 2.53, *_RIGHT),
        (_ORIGIN,),
        1,
        6,
        2.7,
        "hypothetical; Yin, Cohen, Phys. Rev. B 26, 5668 (1982), cell rounded",
    ),
    "bc8": Phase(
        206,
        (6.636, 6.636, 6.636, *_RIGHT),
        ((0.1003, 0.1003, 0.1003),),
        8,
        4,
        2.5,
        "Si-III; Kasper, Richards, Acta Cryst. 17, 752 (1964)",
    ),
    "r8": Phase(
        148,
        (5.609, 5.609, 5.609, 110.07, 110.07, 110.07),
        ((0.2922, 0.2922, 0.2922), (0.4597, -0.0353, 0.2641)),
        8,
        4,
        2.5,
        "Si-XII at 8 GPa; Piltz et al., Phys. Rev. B 52, 4072 (1995)",
        setting=2,
    ),
    "st12": Phase(
        96,
        (5.69, 5.69, 6.70, *_RIGHT),
        ((0.0912, 0.0912, 0.0), (0.1730, 0.3784, 0.2486)),
        12,
        4,
        2.5,
        "coordinates and c/a of Ge-III, Bundy, Kasper, Science 139, 340 (1963), bonds of 2.38 Å",
    ),
    "bct4": Phase(
        139,
        (6.66, 6.66, 3.825, *_RIGHT),
        ((0.1792, 0.1792, 0.0),),
        4,
        4,
        2.5,
        "hypothetical; carbon's, Umemoto et al., Phys. Rev. Lett. 104, 125504 (2010), scaled to Si bonds",
    ),
    "bct5": Phase(
        139,
        (3.349, 3.349, 6.505, *_RIGHT),
        ((0.0, 0.0, 0.181),),
        2,
        5,
        2.7,
        "hypothetical; Boyer et al., Phys. Rev. Lett. 67, 715 (1991)",
    ),
    "clathrate-34": Phase(
        227,
        (14.864, 14.864, 14.864, *_RIGHT),
        ((1 / 8, 1 / 8, 1 / 8), (0.2174, 0.2174, 0.2174), (0.1826, 0.1826, 0.3705)),
        34,
        4,
        2.5,
        "type II; Adams et al., Phys. Rev. B 49, 8048 (1994)",
        setting=2,
    ),
    "clathrate-46": Phase(
        223,
        (10.355, 10.355, 10.355, *_RIGHT),
        ((1 / 4, 1 / 2, 0.0), (0.1837, 0.1837, 0.1837), (0.0, 0.1172, 0.3077)),
        46,
        4,
        2.5,
        "type I; Adams et al., Phys. Rev. B 49, 8048 (1994)",
    ),
    "si24": Phase(
        63,
        (3.82236, 10.7007, 12.62578, *_RIGHT),
        ((0.0, 0.243, 0.555), (0.0, 0.571, 0.342), (0.0, 0.029, 0.591)),
        12,
        4,
        2.5,
        "open framework; Kim et al., Nature Mater. 14, 169 (2015), coordinates rounded",
    ),
}
