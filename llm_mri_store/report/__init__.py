"""Pages: what a scan showed, in one file that opens offline, or live over the store."""
