-- A person's decision has a judgement as well: what gates and policies said while the person decided, whatever that was. So a hold may belong to a
-- decision; what accepts or rejects still always does, and no decision has two.
ALTER TABLE judgements
    ADD CONSTRAINT judgements_answer_decides CHECK (outcome = 'hold' OR decision_id IS NOT NULL),
    DROP CONSTRAINT judgements_hold_decides_nothing;
CREATE UNIQUE INDEX judgements_one_of_a_decision ON judgements (decision_id) WHERE decision_id IS NOT NULL;
