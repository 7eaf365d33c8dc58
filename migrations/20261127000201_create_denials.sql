-- The deny list. While a denial stands, nobody accepts a connection that it covers. What is connected already stays connected.
CREATE TABLE denials (
    id                   uuid PRIMARY KEY,
    -- Whom it is about: one account, one consumer with all its accounts, or everybody.
    subject              text NOT NULL,
    account_id           text,
    consumer_id          uuid REFERENCES consumers (id),
    -- Where: on this service, or everywhere.
    endpoint_service_id  uuid REFERENCES endpoint_services (id),
    reason               text NOT NULL,
    denied_at            timestamptz NOT NULL,
    denied_by            text NOT NULL,
    -- From then on it denies nothing any more, without anybody's doing.
    expires_at           timestamptz,
    lifted_at            timestamptz,
    lifted_by            text,
    lifted_reason        text,
    CONSTRAINT denials_subject_known CHECK (subject IN ('account', 'consumer', 'everybody')),
    CONSTRAINT denials_subject_whole
        CHECK ((subject = 'account') = (account_id IS NOT NULL) AND (subject = 'consumer') = (consumer_id IS NOT NULL)),
    CONSTRAINT denials_everybody_on_a_service CHECK (subject <> 'everybody' OR endpoint_service_id IS NOT NULL),
    CONSTRAINT denials_account_id_shape CHECK (account_id ~ '^[0-9]{12}$'),
    CONSTRAINT denials_reason_given CHECK (reason <> ''),
    CONSTRAINT denials_expires_later CHECK (expires_at > denied_at),
    CONSTRAINT denials_lifted_whole CHECK ((lifted_at IS NULL) = (lifted_by IS NULL) AND (lifted_at IS NULL) = (lifted_reason IS NULL))
);
-- What every accept asks for.
CREATE INDEX denials_of_account ON denials (account_id) WHERE lifted_at IS NULL AND subject = 'account';
CREATE INDEX denials_of_consumer ON denials (consumer_id) WHERE lifted_at IS NULL AND subject = 'consumer';
CREATE INDEX denials_of_everybody ON denials (endpoint_service_id) WHERE lifted_at IS NULL AND subject = 'everybody';
