"""The accumulators that a pass has unless it is given others, and those that files may hold."""

from reverse_correlation.estimates.class_sums import ChoiceSums, ClassSums
from reverse_correlation.estimates.layer_sums import FilterSums, MapSums

ACCUMULATORS = (ClassSums, FilterSums, MapSums)
OF_TRIALS = (ChoiceSums,)  # made by no pass, but of the choices of people
