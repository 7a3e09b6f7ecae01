"""From the store to numbers: tables by named queries, the NRAG and its metrics."""
