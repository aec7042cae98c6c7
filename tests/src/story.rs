//! Stories that are drawn from a seed.
