"""The accumulators that a pass uses by default."""

from reverse_correlation.estimates.class_sums import ChoiceSums, ClassSums
from reverse_correlation.estimates.layer_sums import FilterSums, MapSums

ACCUMULATORS = (ClassSums, FilterSums, MapSums, ChoiceSums)
