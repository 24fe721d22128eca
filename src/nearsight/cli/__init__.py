"""One command a module: parse, resolve names, call a workflow."""
