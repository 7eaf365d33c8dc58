//! Lists of connections: filtered, in either order, by keyset.

use privatelink::{AccountId, VpcEndpointId};

use super::connections::connection_rows;
use super::{PgConnection, StoreError};
use crate::domain::connection::Connection;
use crate::domain::ids::{
    AccountRegionId, ConnectionId, ConsumerId, DecisionId, EndpointServiceId,
};
use crate::domain::order::Order;
use crate::domain::review::ReviewState;
use crate::domain::summary::Summary;

/// Which connections to list. Absent filters let everything through.
#[derive(Debug, Default)]
pub struct Filter<'a> {
    /// Only this service's.
    pub service: Option<EndpointServiceId>,
    /// Only those of the service with this AWS id.
    pub aws_service_id: Option<&'a privatelink::ServiceId>,
    /// Only those of this account.
    pub owner: Option<&'a AccountId>,
    /// Only those of the accounts that belong to this consumer now.
    pub consumer: Option<ConsumerId>,
    /// Only this endpoint's.
    pub endpoint: Option<&'a VpcEndpointId>,
    /// Only those that stand here.
    pub summary: Option<Summary>,
    /// Only those reviewed so.
    pub review: Option<ReviewState>,
}

/// A page, starting after `from`.
pub async fn page(
    conn: &mut PgConnection,
    filter: &Filter<'_>,
    order: Order,
    from: Option<ConnectionId>,
    limit: i64,
) -> Result<Vec<Connection>, StoreError> {
    // A statement for each order: of one for both, PostgreSQL could use no index for the order.
    macro_rules! listed {
        ($after:literal, $order:literal) => {
            connection_rows!(
                [r#"WHERE ($1::uuid IS NULL OR c.id "# $after r#" $1)
                      AND ($2::uuid IS NULL OR c.endpoint_service_id = $2)
                      AND ($3::text IS NULL OR s.aws_service_id = $3)
                      AND ($4::text IS NULL OR c.owner_account = $4)
                      AND ($5::text IS NULL OR c.endpoint_id = $5)
                      AND ($6::text IS NULL OR c.summary = $6)
                      AND ($7::text IS NULL OR c.review_state = $7)
                      AND ($8::uuid IS NULL OR c.owner_account IN (SELECT m.account_id FROM consumer_accounts m
                                                                WHERE m.consumer_id = $8 AND m.removed_at IS NULL))
                    ORDER BY c.id "# $order r#" LIMIT $9"#],
                from.map(ConnectionId::uuid),
                filter.service.map(EndpointServiceId::uuid),
                filter.aws_service_id.map(privatelink::ServiceId::as_str),
                filter.owner.map(AccountId::as_str),
                filter.endpoint.map(VpcEndpointId::as_str),
                filter.summary.map(Summary::as_str),
                filter.review.map(ReviewState::as_str),
                filter.consumer.map(ConsumerId::uuid),
                limit,
            )
            .fetch_all(conn)
            .await?
        };
    }
    let rows = match order {
        Order::Asc => listed!(">", "ASC"),
        Order::Desc => listed!("<", "DESC"),
    };
    rows.into_iter().map(Connection::try_from).collect()
}
