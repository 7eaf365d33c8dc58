-- Who answers for a listing at the provider: a person or a team. Nobody named is whoever began it.
ALTER TABLE listings
    ADD COLUMN owner text,
    ADD CONSTRAINT listings_owner_length CHECK (length(owner) BETWEEN 1 AND 128);
