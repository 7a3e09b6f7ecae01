"""Frozen records that cross floors, and the JSON files of a store are made of."""
