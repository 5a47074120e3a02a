CREATE TABLE requests
(
    at DateTime('UTC'),
    host LowCardinality(String),
    path String,
    status UInt16,
    ms Float32
)
ENGINE = MergeTree
ORDER BY at
-- Without it, only replicated tables know the tokens of earlier inserts.
SETTINGS non_replicated_deduplication_window = 1000;
