"""The folder on disk: atomic commits, the DuckDB connection with its views, named queries, verify."""
