-- What a resource's state is named by: the newest entries about it. With their ids in the index, reading them touches no entry.
CREATE INDEX audit_entries_newest_by_subject ON audit_entries (subject_id, at, id);
-- The other begins in the same way, and serves nothing that this one does not.
DROP INDEX audit_entries_by_subject;
