"""Probes: benchmarks that are drawn, each of which asks after one way in which a model fails."""
