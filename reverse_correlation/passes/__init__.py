"""The pass: blocks of noise, shown and summed, here or on a cluster of machines."""
