-- What a decision says beside its reason, and what people tell each other about a connection.
ALTER TABLE decisions
    -- For the consumer.
    ADD COLUMN message     text,
    -- Where the work on it is kept.
    ADD COLUMN ticket_url  text,
    -- A stable word for why, where a rule decided and not a person.
    ADD COLUMN reason_code text,
    ADD CONSTRAINT decisions_message_given CHECK (message <> ''),
    ADD CONSTRAINT decisions_ticket_url_is_https CHECK (ticket_url LIKE 'https://_%'),
    ADD CONSTRAINT decisions_reason_code_shape CHECK (reason_code ~ '^[a-z][a-z_]*$');

-- Append-only, like the decisions that they are about.
CREATE TABLE connection_comments (
    id             uuid NOT NULL,
    connection_id  uuid NOT NULL REFERENCES connections (id),
    author         text NOT NULL,
    body           text NOT NULL,
    commented_at   timestamptz NOT NULL,
    CONSTRAINT connection_comments_pkey PRIMARY KEY (id),
    CONSTRAINT connection_comments_body_given CHECK (body <> '')
);
CREATE INDEX connection_comments_by_connection ON connection_comments (connection_id, id DESC);
CREATE TRIGGER connection_comments_append_only BEFORE UPDATE OR DELETE ON connection_comments
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER connection_comments_no_truncate BEFORE TRUNCATE ON connection_comments
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
