"""What the benchmarks share; none of it is a benchmark itself."""
