"""Networks: features to density."""
