CREATE TRIGGER check_and_price BEFORE INSERT ON llm_usage.usage_events
  FOR EACH ROW EXECUTE FUNCTION llm_usage._check_and_price();

CREATE TRIGGER prices_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON llm_usage.model_prices
  FOR EACH STATEMENT EXECUTE FUNCTION llm_usage._announce_change();
CREATE TRIGGER prices_changing BEFORE INSERT OR UPDATE OR DELETE ON llm_usage.model_prices
  FOR EACH STATEMENT EXECUTE FUNCTION llm_usage._announce_change();
-- Replicated prices change too.
ALTER TABLE llm_usage.model_prices ENABLE ALWAYS TRIGGER prices_changed;
