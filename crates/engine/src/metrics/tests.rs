//! Tests of the metrics as they are rendered.
