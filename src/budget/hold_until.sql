SELECT CASE WHEN $1 <= interval '0' OR $1 > interval '30 days' THEN NULL
            WHEN now() + $1 BETWEEN now() + interval '1 microsecond' AND now() + interval '30 days' THEN clock_timestamp() + $1 END
