-- When gates and policies last held a request. Its newest judgement has what they said and the facts that they said it from; since then nothing but the
-- time has changed. A column, because judgements are append-only, and a row for each pass in which only the clock moved would say nothing new.
ALTER TABLE connections ADD COLUMN last_judged_at timestamptz;
