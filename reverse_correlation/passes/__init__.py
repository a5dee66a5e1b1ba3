"""The pass: blocks of noise are shown and summed, here or on a cluster of machines."""
