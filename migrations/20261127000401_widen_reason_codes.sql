-- A policy gives a decision its own code, in a policy's alphabet.
ALTER TABLE decisions
    DROP CONSTRAINT decisions_reason_code_shape,
    ADD CONSTRAINT decisions_reason_code_shape CHECK (reason_code ~ '^[a-z][a-z0-9_-]{0,63}$');
