//! The sink `hdfs`.
