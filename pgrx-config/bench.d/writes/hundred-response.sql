\set key random(1, 1000000000000)
SELECT record_response_batch(replace(r.hundred, '@', (:key)::text)::json) FROM public.responses r;
