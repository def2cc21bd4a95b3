"""The truth the analysis is held against: what real programs were seen to do, and how the analysis scores on it."""
