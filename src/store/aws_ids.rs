//! What is known here by AWS's own ids.

use privatelink::{ServiceId, VpcEndpointId};

use super::{PgConnection, StoreError};
use crate::domain::aws_ids::Known;
use crate::domain::ids::{ConnectionId, EndpointServiceId};

/// The registrations of a service, the last first. One that ended keeps its row, and the service may have been registered again since.
pub async fn services(
    conn: &mut PgConnection,
    id: &ServiceId,
) -> Result<Vec<Known<EndpointServiceId>>, StoreError> {
    let rows = sqlx::query_as!(
        Known::<EndpointServiceId>,
        r#"SELECT id AS "id: EndpointServiceId", lifecycle NOT IN ('deleted', 'released') AS "current!"
             FROM endpoint_services WHERE aws_service_id = $1 ORDER BY id DESC"#,
        id.as_str(),
    );
    Ok(rows.fetch_all(conn).await?)
}

/// The connections of an endpoint, the last first. An endpoint belongs to one service, whose next registration sees it anew.
pub async fn connections(
    conn: &mut PgConnection,
    id: &VpcEndpointId,
) -> Result<Vec<Known<ConnectionId>>, StoreError> {
    let rows = sqlx::query_as!(
        Known::<ConnectionId>,
        r#"SELECT c.id AS "id: ConnectionId", s.lifecycle NOT IN ('deleted', 'released') AS "current!"
             FROM connections c JOIN endpoint_services s ON s.id = c.endpoint_service_id
            WHERE c.endpoint_id = $1 ORDER BY c.id DESC"#,
        id.as_str(),
    );
    Ok(rows.fetch_all(conn).await?)
}
