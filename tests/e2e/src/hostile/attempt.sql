-- What a call ends with: SQLSTATE, message, status of the HTTP answer, and how long it took in s. Whatever it did is undone; an
-- end without an error is 00000.
CREATE FUNCTION pg_temp.attempt(call text, arguments text[], headers text)
  RETURNS TABLE (code text, message text, status text, took double precision)
  LANGUAGE plpgsql
AS $$
DECLARE
  began_at timestamptz := clock_timestamp();
BEGIN
  BEGIN
    PERFORM set_config('request.headers', headers, true), set_config('response.status', '', true);
    EXECUTE call USING arguments;
    RAISE EXCEPTION USING ERRCODE = 'UNDON', MESSAGE = current_setting('response.status');
  EXCEPTION
    WHEN SQLSTATE 'UNDON' THEN
      code := '00000';
      status := SQLERRM;
    WHEN query_canceled OR OTHERS THEN
      code := SQLSTATE;
      message := SQLERRM;
  END;
  took := extract(epoch FROM clock_timestamp() - began_at);
  RETURN NEXT;
END $$
