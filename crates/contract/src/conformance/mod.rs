//! Checks that run against any plugin executable.
