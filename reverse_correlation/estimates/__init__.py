"""What the sums of a pass say: estimates, measurements, exact images, agreement."""
