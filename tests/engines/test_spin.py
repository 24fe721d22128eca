"""Results with magnetic elements say that spin is left out; others say nothing."""

from nearsight.engines.spin import spin_notes


def test_magnetic_elements_are_named():
    (note,) = spin_notes([24, 26, 27, 28, 13])
    assert note.startswith("Cr, Fe, Co, Ni treated without spin")
    assert "\n" not in note


def test_others_are_not():
    assert spin_notes([1, 8, 13, 14, 32, 50]) == []
