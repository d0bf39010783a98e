//! How the last backup went, shared between who makes them and the overview.
