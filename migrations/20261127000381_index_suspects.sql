-- Where AWS and the review may disagree: what every complete listing looks at again, without reading the fleet for it.
CREATE INDEX connections_suspect ON connections (account_region_id)
    WHERE observed_state <> 'deleted'
      AND (review_state = 'undecided' AND observed_state IN ('pending', 'available', 'partial', 'rejected')
           OR review_state = 'accepted' AND observed_state = 'rejected'
           OR review_state IN ('rejected', 'revoked') AND observed_state IN ('pendingAcceptance', 'pending', 'available'));
