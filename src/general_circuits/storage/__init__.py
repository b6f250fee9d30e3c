"""Storage: what lies on disk. Parquet tables and their schemas, weights, training states, a block of replicas."""
