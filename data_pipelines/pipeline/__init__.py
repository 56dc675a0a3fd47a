"""What every build shares: sketches of documents through a Beam pipeline into a dataset, with a report."""
