//! CPU kernels: packed weights, register-blocked matrix products with fused epilogues, short-sequence attention.
