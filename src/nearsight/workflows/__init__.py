"""Plain functions from artefact to artefact."""
