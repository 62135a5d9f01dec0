//! A Redis Cluster node around the transitions of `slotproof-model`.
