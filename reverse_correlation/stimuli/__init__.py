"""What an observer is shown: a base image plus a linear map of independent numbers."""
