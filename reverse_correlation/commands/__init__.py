"""The commands of `python -m reverse_correlation`, one small file each, thin over the rest."""
