-- The set of the numbers, NULLs left out; NULL for none.
CREATE AGGREGATE llm_usage._bitmap_agg(bigint) (
  SFUNC = llm_usage._bitmap_insert,
  STYPE = internal,
  FINALFUNC = llm_usage._bitmap_serialize,
  COMBINEFUNC = llm_usage._bitmap_combine,
  SERIALFUNC = llm_usage._bitmap_serialize,
  DESERIALFUNC = llm_usage._bitmap_deserialize,
  PARALLEL = SAFE
);

-- The union of the sets, NULLs left out; NULL for none.
CREATE AGGREGATE llm_usage._bitmap_or_agg(bytea) (
  SFUNC = llm_usage._bitmap_unite,
  STYPE = internal,
  FINALFUNC = llm_usage._bitmap_serialize,
  COMBINEFUNC = llm_usage._bitmap_combine,
  SERIALFUNC = llm_usage._bitmap_serialize,
  DESERIALFUNC = llm_usage._bitmap_deserialize,
  PARALLEL = SAFE
);

-- _bitmap_count(_bitmap_or_agg(…)) in a fraction of the time: the union is counted without being made.
CREATE AGGREGATE llm_usage._bitmap_or_count(bytea) (
  SFUNC = llm_usage._bitmap_count_add,
  STYPE = internal,
  FINALFUNC = llm_usage._bitmap_count_final,
  PARALLEL = SAFE
);
