-- First, so that nobody who works at an agreement waits for the view while this waits for him.
LOCK TABLE agreements IN ACCESS EXCLUSIVE MODE;

-- An agreement that waits for the one that takes its place says after an hour when it cuts if none comes.
ALTER TABLE agreements
    DROP CONSTRAINT agreements_grace_whole,
    ADD CONSTRAINT agreements_grace_whole CHECK (
        (grace_until IS NOT NULL OR state <> 'grace')
        AND (grace_until IS NULL OR (cause IS NOT NULL AND (state = 'grace' OR (state = 'superseded' AND succeeded_at IS NULL))))
    );
-- Which of its plans stand is said by the next migration.

-- Those that wait now are looked at once more.
UPDATE agreements SET due_at = now() WHERE state = 'superseded' AND succeeded_at IS NULL;
