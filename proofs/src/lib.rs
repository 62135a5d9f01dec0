//! The claims are integration tests in `proofs/tests`; this library is empty on purpose.
