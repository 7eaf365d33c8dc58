-- Previews that nobody has applied: a new one of the same scope takes their place.
CREATE INDEX rejudgements_unapplied ON rejudgements (id) WHERE state IN ('previewing', 'previewed');
