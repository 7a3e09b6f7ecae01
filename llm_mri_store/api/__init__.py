"""What users hold: Store, Scan, Reduction and the tables they return."""
