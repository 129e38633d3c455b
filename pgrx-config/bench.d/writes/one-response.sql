\set app random(1, :apps)
\set key random(1, 1000000000000)
SELECT record_response('openai', replace(r.one, '@', (:key)::text)::jsonb, app_id => :app, user_id => 5) FROM public.responses r;
