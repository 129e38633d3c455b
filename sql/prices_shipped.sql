-- The list prices shipped with llm_usage: well-known models, each with the UTC day since which its price holds.
-- Vendors' public prices of the standard tier, in USD; written per million tokens, stored per token.
-- A user's own rows and imported rows win over these. A NULL cache price is an unknown one.
-- To add a model, add a line; when a price changes, keep the old line and add one with the new day. A long-context
-- price is a line of its own: it applies to the whole request once its input exceeds above_tokens.
INSERT INTO llm_usage.model_prices (vendor, model, is_default, above_tokens, valid_from, currency, source,
    input_per_token, cache_read_per_token, cache_write_per_token, cache_write_1h_per_token, output_per_token, prompt_audio_per_token)
SELECT vendor, model, true, v.above_tokens::bigint, v.valid_from::timestamp AT TIME ZONE 'UTC', 'USD', 'shipped',
    trim_scale(v.input::numeric * 0.000001), trim_scale(v.cache_read::numeric * 0.000001),
    trim_scale(v.cache_write::numeric * 0.000001), trim_scale(v.cache_write_1h::numeric * 0.000001),
    trim_scale(v.output::numeric * 0.000001), trim_scale(a.prompt_audio::numeric * 0.000001)
FROM (VALUES
    -- vendor, model, valid_from, above_tokens, input, cache_read, cache_write, cache_write_1h, output
    ('openai',    'gpt-3.5-turbo',              '2024-03-07',      0,    0.50,   NULL,   NULL,   NULL,  1.50),
    ('openai',    'gpt-3.5-turbo-0125',         '2024-01-25',      0,    0.50,   NULL,   NULL,   NULL,  1.50),
    ('openai',    'gpt-4',                      '2023-03-14',      0,   30.00,   NULL,   NULL,   NULL, 60.00),
    ('openai',    'gpt-4-0613',                 '2023-06-13',      0,   30.00,   NULL,   NULL,   NULL, 60.00),
    ('openai',    'gpt-4-turbo',                '2024-04-09',      0,   10.00,   NULL,   NULL,   NULL, 30.00),
    ('openai',    'gpt-4-turbo-2024-04-09',     '2024-04-09',      0,   10.00,   NULL,   NULL,   NULL, 30.00),
    ('openai',    'gpt-4o',                     '2024-05-13',      0,    5.00,   NULL,   NULL,   NULL, 15.00),
    ('openai',    'gpt-4o',                     '2024-10-02',      0,    2.50,   1.25,   NULL,   NULL, 10.00),  -- the name moved to the 2024-08-06 snapshot
    ('openai',    'gpt-4o-2024-05-13',          '2024-05-13',      0,    5.00,   NULL,   NULL,   NULL, 15.00),
    ('openai',    'gpt-4o-2024-08-06',          '2024-08-06',      0,    2.50,   1.25,   NULL,   NULL, 10.00),
    ('openai',    'gpt-4o-2024-11-20',          '2024-11-20',      0,    2.50,   1.25,   NULL,   NULL, 10.00),
    ('openai',    'gpt-4o-mini',                '2024-07-18',      0,    0.15,  0.075,   NULL,   NULL,  0.60),
    ('openai',    'gpt-4o-mini-2024-07-18',     '2024-07-18',      0,    0.15,  0.075,   NULL,   NULL,  0.60),
    ('openai',    'gpt-4.1',                    '2025-04-14',      0,    2.00,   0.50,   NULL,   NULL,  8.00),
    ('openai',    'gpt-4.1-2025-04-14',         '2025-04-14',      0,    2.00,   0.50,   NULL,   NULL,  8.00),
    ('openai',    'gpt-4.1-mini',               '2025-04-14',      0,    0.40,   0.10,   NULL,   NULL,  1.60),
    ('openai',    'gpt-4.1-mini-2025-04-14',    '2025-04-14',      0,    0.40,   0.10,   NULL,   NULL,  1.60),
    ('openai',    'gpt-4.1-nano',               '2025-04-14',      0,    0.10,  0.025,   NULL,   NULL,  0.40),
    ('openai',    'gpt-4.1-nano-2025-04-14',    '2025-04-14',      0,    0.10,  0.025,   NULL,   NULL,  0.40),
    ('openai',    'o1',                         '2024-12-17',      0,   15.00,   7.50,   NULL,   NULL, 60.00),
    ('openai',    'o1-2024-12-17',              '2024-12-17',      0,   15.00,   7.50,   NULL,   NULL, 60.00),
    ('openai',    'o3',                         '2025-04-16',      0,   10.00,   2.50,   NULL,   NULL, 40.00),
    ('openai',    'o3',                         '2025-06-10',      0,    2.00,   0.50,   NULL,   NULL,  8.00),  -- price cut by 80%
    ('openai',    'o3-2025-04-16',              '2025-04-16',      0,   10.00,   2.50,   NULL,   NULL, 40.00),
    ('openai',    'o3-2025-04-16',              '2025-06-10',      0,    2.00,   0.50,   NULL,   NULL,  8.00),  -- price cut by 80%
    ('openai',    'o3-mini',                    '2025-01-31',      0,    1.10,   0.55,   NULL,   NULL,  4.40),
    ('openai',    'o3-mini-2025-01-31',         '2025-01-31',      0,    1.10,   0.55,   NULL,   NULL,  4.40),
    ('openai',    'o4-mini',                    '2025-04-16',      0,    1.10,  0.275,   NULL,   NULL,  4.40),
    ('openai',    'o4-mini-2025-04-16',         '2025-04-16',      0,    1.10,  0.275,   NULL,   NULL,  4.40),
    ('openai',    'gpt-5',                      '2025-08-07',      0,    1.25,  0.125,   NULL,   NULL, 10.00),
    ('openai',    'gpt-5-2025-08-07',           '2025-08-07',      0,    1.25,  0.125,   NULL,   NULL, 10.00),
    ('openai',    'gpt-5-mini',                 '2025-08-07',      0,    0.25,  0.025,   NULL,   NULL,  2.00),
    ('openai',    'gpt-5-mini-2025-08-07',      '2025-08-07',      0,    0.25,  0.025,   NULL,   NULL,  2.00),
    ('openai',    'gpt-5-nano',                 '2025-08-07',      0,    0.05,  0.005,   NULL,   NULL,  0.40),
    ('openai',    'gpt-5-nano-2025-08-07',      '2025-08-07',      0,    0.05,  0.005,   NULL,   NULL,  0.40),
    ('openai',    'gpt-5.1',                    '2025-11-13',      0,    1.25,  0.125,   NULL,   NULL, 10.00),
    ('openai',    'gpt-5.1-2025-11-13',         '2025-11-13',      0,    1.25,  0.125,   NULL,   NULL, 10.00),
    ('openai',    'gpt-5.2',                    '2025-12-11',      0,    1.75,  0.175,   NULL,   NULL, 14.00),
    ('openai',    'gpt-5.2-2025-12-11',         '2025-12-11',      0,    1.75,  0.175,   NULL,   NULL, 14.00),
    ('openai',    'gpt-5.4',                    '2026-03-05',      0,    2.50,   0.25,   NULL,   NULL, 15.00),
    ('openai',    'gpt-5.4',                    '2026-03-05', 272000,    5.00,   0.50,   NULL,   NULL, 22.50),
    ('openai',    'gpt-5.4-2026-03-05',         '2026-03-05',      0,    2.50,   0.25,   NULL,   NULL, 15.00),
    ('openai',    'gpt-5.4-2026-03-05',         '2026-03-05', 272000,    5.00,   0.50,   NULL,   NULL, 22.50),
    ('openai',    'gpt-5.4-mini',               '2026-03-17',      0,    0.75,  0.075,   NULL,   NULL,  4.50),
    ('openai',    'gpt-5.4-mini-2026-03-17',    '2026-03-17',      0,    0.75,  0.075,   NULL,   NULL,  4.50),
    ('openai',    'gpt-5.4-nano',               '2026-03-17',      0,    0.20,   0.02,   NULL,   NULL,  1.25),
    ('openai',    'gpt-5.4-nano-2026-03-17',    '2026-03-17',      0,    0.20,   0.02,   NULL,   NULL,  1.25),
    ('openai',    'gpt-5.5',                    '2026-04-23',      0,    5.00,   0.50,   NULL,   NULL, 30.00),
    ('openai',    'gpt-5.5',                    '2026-04-23', 272000,   10.00,   1.00,   NULL,   NULL, 45.00),
    ('openai',    'gpt-5.5-2026-04-23',         '2026-04-23',      0,    5.00,   0.50,   NULL,   NULL, 30.00),
    ('openai',    'gpt-5.5-2026-04-23',         '2026-04-23', 272000,   10.00,   1.00,   NULL,   NULL, 45.00),
    ('openai',    'text-embedding-3-small',     '2024-01-25',      0,    0.02,   NULL,   NULL,   NULL,  0.00),
    ('openai',    'text-embedding-3-large',     '2024-01-25',      0,    0.13,   NULL,   NULL,   NULL,  0.00),

    ('anthropic', 'claude-3-opus-20240229',     '2024-03-04',      0,   15.00,   1.50,  18.75,  30.00, 75.00),
    ('anthropic', 'claude-3-haiku-20240307',    '2024-03-13',      0,    0.25,   0.03,   0.30,   0.50,  1.25),
    ('anthropic', 'claude-3-5-sonnet-20240620', '2024-06-20',      0,    3.00,   0.30,   3.75,   6.00, 15.00),
    ('anthropic', 'claude-3-5-sonnet-20241022', '2024-10-22',      0,    3.00,   0.30,   3.75,   6.00, 15.00),
    ('anthropic', 'claude-3-5-haiku-20241022',  '2024-12-05',      0,    0.80,   0.08,   1.00,   1.60,  4.00),
    ('anthropic', 'claude-3-7-sonnet-20250219', '2025-02-24',      0,    3.00,   0.30,   3.75,   6.00, 15.00),
    ('anthropic', 'claude-opus-4-20250514',     '2025-05-22',      0,   15.00,   1.50,  18.75,  30.00, 75.00),
    ('anthropic', 'claude-sonnet-4-20250514',   '2025-05-22',      0,    3.00,   0.30,   3.75,   6.00, 15.00),
    ('anthropic', 'claude-sonnet-4-20250514',   '2025-08-12', 200000,    6.00,   0.60,   7.50,  12.00, 22.50),
    ('anthropic', 'claude-opus-4-1',            '2025-08-05',      0,   15.00,   1.50,  18.75,  30.00, 75.00),
    ('anthropic', 'claude-opus-4-1-20250805',   '2025-08-05',      0,   15.00,   1.50,  18.75,  30.00, 75.00),
    ('anthropic', 'claude-sonnet-4-5',          '2025-09-29',      0,    3.00,   0.30,   3.75,   6.00, 15.00),
    ('anthropic', 'claude-sonnet-4-5',          '2025-09-29', 200000,    6.00,   0.60,   7.50,  12.00, 22.50),
    ('anthropic', 'claude-sonnet-4-5-20250929', '2025-09-29',      0,    3.00,   0.30,   3.75,   6.00, 15.00),
    ('anthropic', 'claude-sonnet-4-5-20250929', '2025-09-29', 200000,    6.00,   0.60,   7.50,  12.00, 22.50),
    ('anthropic', 'claude-haiku-4-5',           '2025-10-15',      0,    1.00,   0.10,   1.25,   2.00,  5.00),
    ('anthropic', 'claude-haiku-4-5-20251001',  '2025-10-15',      0,    1.00,   0.10,   1.25,   2.00,  5.00),
    ('anthropic', 'claude-opus-4-5',            '2025-11-24',      0,    5.00,   0.50,   6.25,  10.00, 25.00),
    ('anthropic', 'claude-opus-4-5-20251101',   '2025-11-24',      0,    5.00,   0.50,   6.25,  10.00, 25.00),
    ('anthropic', 'claude-opus-4-6',            '2026-02-05',      0,    5.00,   0.50,   6.25,  10.00, 25.00),
    ('anthropic', 'claude-opus-4-6',            '2026-02-05', 200000,   10.00,   1.00,  12.50,  20.00, 37.50),
    ('anthropic', 'claude-opus-4-6',            '2026-03-13', 200000,    5.00,   0.50,   6.25,  10.00, 25.00),  -- long-context surcharge dropped
    ('anthropic', 'claude-sonnet-4-6',          '2026-02-17',      0,    3.00,   0.30,   3.75,   6.00, 15.00),
    ('anthropic', 'claude-sonnet-4-6',          '2026-02-17', 200000,    6.00,   0.60,   7.50,  12.00, 22.50),
    ('anthropic', 'claude-sonnet-4-6',          '2026-03-13', 200000,    3.00,   0.30,   3.75,   6.00, 15.00),  -- long-context surcharge dropped
    ('anthropic', 'claude-opus-4-7',            '2026-04-16',      0,    5.00,   0.50,   6.25,  10.00, 25.00),
    ('anthropic', 'claude-opus-4-8',            '2026-05-28',      0,    5.00,   0.50,   6.25,  10.00, 25.00),
    ('anthropic', 'claude-fable-5',             '2026-06-09',      0,   10.00,   1.00,  12.50,  20.00, 50.00),
    ('anthropic', 'claude-sonnet-5',            '2026-06-30',      0,    2.00,   0.20,   2.50,   4.00, 10.00),
    ('anthropic', 'claude-opus-5',              '2026-07-24',      0,    5.00,   0.50,   6.25,  10.00, 25.00),
    ('anthropic', 'claude-fable-5-1',           '2026-09-01',      0,   10.00,   0.25,  12.50,  20.00, 50.00),
    ('anthropic', 'claude-opus-5-5',            '2026-09-22',      0,    4.00,   0.20,   5.00,   8.00, 20.00),
    ('anthropic', 'claude-sonnet-5-5',          '2026-09-28',      0,    2.00,   NULL,   2.50,   4.00, 10.00),
    ('anthropic', 'claude-sonnet-5-5',          '2026-10-10',      0,    2.00,   0.10,   2.50,   4.00, 10.00),  -- cache reads cut shortly before this day
    ('anthropic', 'claude-haiku-5-5',           '2026-10-07',      0,    0.10,   0.01,  0.125,   0.20,  0.50),
    ('anthropic', 'claude-haiku-5-5',           '2026-10-07', 100000,    0.50,   0.05,  0.625,   1.00,  2.50),

    ('gemini',    'gemini-2.0-flash',           '2025-02-05',      0,    0.10,  0.025,   NULL,   NULL,  0.40),
    ('gemini',    'gemini-2.0-flash-lite',      '2025-02-25',      0,   0.075,   NULL,   NULL,   NULL,  0.30),
    ('gemini',    'gemini-2.5-pro',             '2025-06-17',      0,    1.25,   NULL,   NULL,   NULL, 10.00),
    ('gemini',    'gemini-2.5-pro',             '2025-06-17', 200000,    2.50,   NULL,   NULL,   NULL, 15.00),
    ('gemini',    'gemini-2.5-pro',             '2025-11-24',      0,    1.25,  0.125,   NULL,   NULL, 10.00),  -- cache reads cut shortly before this day
    ('gemini',    'gemini-2.5-pro',             '2025-11-24', 200000,    2.50,   0.25,   NULL,   NULL, 15.00),  -- cache reads cut shortly before this day
    ('gemini',    'gemini-2.5-flash',           '2025-06-17',      0,    0.30,   NULL,   NULL,   NULL,  2.50),
    ('gemini',    'gemini-2.5-flash',           '2025-11-24',      0,    0.30,   0.03,   NULL,   NULL,  2.50),  -- cache reads cut shortly before this day
    ('gemini',    'gemini-2.5-flash-lite',      '2025-07-22',      0,    0.10,   NULL,   NULL,   NULL,  0.40),
    ('gemini',    'gemini-2.5-flash-lite',      '2025-11-24',      0,    0.10,   0.01,   NULL,   NULL,  0.40),  -- cache reads cut shortly before this day
    ('gemini',    'gemini-embedding-001',       '2025-07-14',      0,    0.15,   NULL,   NULL,   NULL,  0.00),
    ('gemini',    'gemini-3-pro-preview',       '2025-11-18',      0,    2.00,   0.20,   NULL,   NULL, 12.00),
    ('gemini',    'gemini-3-pro-preview',       '2025-11-18', 200000,    4.00,   0.40,   NULL,   NULL, 18.00),
    ('gemini',    'gemini-3-flash-preview',     '2025-12-17',      0,    0.50,   0.05,   NULL,   NULL,  3.00),
    ('gemini',    'gemini-3.1-pro-preview',     '2026-02-19',      0,    2.00,   0.20,   NULL,   NULL, 12.00),
    ('gemini',    'gemini-3.1-pro-preview',     '2026-02-19', 200000,    4.00,   0.40,   NULL,   NULL, 18.00),
    ('gemini',    'gemini-3.1-flash-lite',      '2026-05-07',      0,    0.25,  0.025,   NULL,   NULL,  1.50),
    ('gemini',    'gemini-3.5-flash-lite',      '2026-07-21',      0,    0.30,   0.03,   NULL,   NULL,  2.50),

    ('mistral',   'mistral-large-2411',         '2024-11-18',      0,    2.00,   NULL,   NULL,   NULL,  6.00),
    ('mistral',   'mistral-medium-2505',        '2025-05-07',      0,    0.40,   NULL,   NULL,   NULL,  2.00),
    ('mistral',   'mistral-medium-2508',        '2025-08-12',      0,    0.40,   NULL,   NULL,   NULL,  2.00),
    ('mistral',   'codestral-2508',             '2025-07-30',      0,    0.30,   0.03,   NULL,   NULL,  0.90),
    ('mistral',   'mistral-large-2512',         '2025-12-02',      0,    0.50,   0.05,   NULL,   NULL,  1.50),
    ('mistral',   'mistral-small-2603',         '2026-03-16',      0,    0.15,  0.015,   NULL,   NULL,  0.60),
    ('mistral',   'mistral-medium-2604',        '2026-04-29',      0,    1.50,   0.15,   NULL,   NULL,  7.50),

    ('xai',       'grok-4.3',                   '2026-05-01',      0,    1.25,   0.20,   NULL,   NULL,  2.50),
    ('xai',       'grok-4.3',                   '2026-05-01', 200000,    2.50,   0.40,   NULL,   NULL,  5.00),

    ('cohere',    'embed-english-v3.0',         '2023-11-02',      0,    0.10,   NULL,   NULL,   NULL,  0.00),
    ('cohere',    'embed-multilingual-v3.0',    '2023-11-02',      0,    0.10,   NULL,   NULL,   NULL,  0.00),
    ('cohere',    'command-r-08-2024',          '2024-08-30',      0,    0.15,   NULL,   NULL,   NULL,  0.60),
    ('cohere',    'command-r-plus-08-2024',     '2024-08-30',      0,    2.50,   NULL,   NULL,   NULL, 10.00),
    ('cohere',    'command-r7b-12-2024',        '2024-12-13',      0,  0.0375,   NULL,   NULL,   NULL,  0.15),
    ('cohere',    'command-a-03-2025',          '2025-03-13',      0,    2.50,   NULL,   NULL,   NULL, 10.00),
    ('cohere',    'embed-v4.0',                 '2025-04-15',      0,    0.12,   NULL,   NULL,   NULL,  0.00)
) AS v (vendor, model, valid_from, above_tokens, input, cache_read, cache_write, cache_write_1h, output)
-- Where audio costs more than other input.
LEFT JOIN (VALUES
    ('gemini',    'gemini-2.0-flash',           0.70),
    ('gemini',    'gemini-2.5-flash',           1.00),
    ('gemini',    'gemini-2.5-flash-lite',      0.30),
    ('gemini',    'gemini-3-flash-preview',     1.00),
    ('gemini',    'gemini-3.1-flash-lite',      0.50)
) AS a (vendor, model, prompt_audio) USING (vendor, model);
