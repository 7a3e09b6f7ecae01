"""Tests of the page that is live over the store."""
