//! Re-judgements as people ask for them, live connections to judge again, and policies that let some in and keep one account out.

use std::time::Duration;

use portcullis::domain::ids::RejudgementId;
use portcullis::worker::rejudgements::{Report, run_pass};
use serde_json::{Value, json};

use super::drifts::OTHER;
use super::{Answer, CONSUMER, Request, Service, TestApp, Who};

pub(crate) const THIRD: &str = "222233334444";
pub(crate) const HOUR: Duration = Duration::from_hours(1);
pub(crate) const NOTHING: Value = Value::Null;

/// Lets everybody in but the third account, of whom it says nothing.
pub(crate) const OPEN: &str = r#"
    @id("others") permit (principal, action, resource) unless { principal == Account::"222233334444" };
"#;

/// The same, and keeps one account out.
pub(crate) fn closed_to(account: &str) -> String {
    format!(
        r#"{OPEN} @id("unpaid") @reason("not_paid") @message("You have not paid.")
           forbid (principal == Account::"{account}", action, resource);"#
    )
}

impl TestApp {
    pub(crate) async fn try_to_rejudge(&self, scope: &Value) -> Answer {
        let mut body = scope.clone();
        body["reason"] = json!("the policy is new");
        self.post(Who::Admin, "/v1/rejudgements", &body).await
    }

    /// The loop, once; a second pass must find nothing to do.
    pub(crate) async fn carry_on(&self) -> Report {
        let mut report = run_pass(&self.shared).await.expect("a pass");
        // On a machine that is short of time, a pass may only come to the end of its turn.
        while report.more {
            report = run_pass(&self.shared).await.expect("the next pass");
        }
        let again = run_pass(&self.shared).await.expect("a second pass");
        assert_eq!(
            (again.open, again.steps),
            (0, 0),
            "what was done is done again"
        );
        report
    }

    /// Asks, and has the preview made.
    pub(crate) async fn previewed(&self, scope: &Value) -> Value {
        let asked = self.try_to_rejudge(scope).await.good();
        assert_eq!(asked["state"], "previewing");
        self.carry_on().await;
        let seen = self.rejudgement(&asked).await;
        assert_eq!(seen["state"], "previewed");
        seen
    }

    pub(crate) async fn rejudgement(&self, of: &Value) -> Value {
        let path = format!("/v1/rejudgements/{}", of["id"].as_str().unwrap());
        self.get(Who::Viewer, &path).await.good()
    }

    pub(crate) async fn try_to_apply(&self, of: &Value, grace: Duration, confirm: i64) -> Answer {
        let path = format!("/v1/rejudgements/{}/apply", of["id"].as_str().unwrap());
        let body = json!({
            "reason": "they were told", "grace_seconds": grace.as_secs(), "confirm_losing_access": confirm,
        });
        self.post(Who::Admin, &path, &body).await
    }

    pub(crate) async fn try_to_give_up(&self, of: &Value) -> Answer {
        let path = format!("/v1/rejudgements/{}/cancel", of["id"].as_str().unwrap());
        let body = json!({ "reason": "they have paid" });
        self.post(Who::Admin, &path, &body).await
    }

    /// What became of a connection, and why it was left as it is.
    pub(crate) async fn fate(&self, of: &Value, request: &Request) -> (Value, Value) {
        let path = format!(
            "/v1/rejudgements/{}/connections?limit=200",
            of["id"].as_str().unwrap()
        );
        let listed = self.get(Who::Viewer, &path).await.good();
        let items = listed["items"].as_array().unwrap();
        let row = items.iter().find(|row| row["connection_id"] == request.id);
        row.map_or((NOTHING, NOTHING), |row| {
            (row["state"].clone(), row["kept_as"].clone())
        })
    }

    pub(crate) async fn plan_of(&self, request: &Request) -> Value {
        self.connection(request).await["scheduled_revocation"].clone()
    }

    /// Somebody plans a revocation by hand.
    pub(crate) async fn plan_by_hand(&self, request: &Request, by: Duration) {
        let body = json!({ "at": self.clock_in(by), "reason": "the contract ends" });
        self.tell(Who::Approver, request, "schedule-revocation", &body)
            .await
            .good();
    }

    /// An accepted connection that lives.
    pub(crate) async fn live(&self, account: &str, service: &Service) -> Request {
        let request = self.requested_by(account, service).await;
        self.decide(&request, "accept").await;
        self.run_until_rest().await;
        assert_eq!(self.summary(&request).await, "available");
        request
    }

    /// Puts so many more connections like the only one there is beside it.
    pub(crate) async fn multiply_live(&self, count: i32) {
        let sql = format!(
            "DO $$ DECLARE columns text; BEGIN
                 SELECT string_agg(quote_ident(column_name), ', ') INTO columns FROM information_schema.columns
                  WHERE table_schema = 'public' AND table_name = 'connections' AND is_generated = 'NEVER'
                    AND column_name NOT IN ('id', 'endpoint_id');
                 EXECUTE format('INSERT INTO connections (id, endpoint_id, %s)
                                 SELECT gen_random_uuid(), ''vpce-'' || lpad(to_hex(n), 17, ''0''), %s
                                   FROM connections, generate_series(1, {count}) AS n', columns, columns);
             END $$"
        );
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .execute(self.db())
            .await
            .unwrap();
    }
}

pub(crate) fn id_of(rejudgement: &Value) -> RejudgementId {
    rejudgement["id"].as_str().unwrap().parse().unwrap()
}

/// What `fate` answers of one that was kept.
pub(crate) fn kept_as(why: &str) -> (Value, Value) {
    (json!("kept"), json!(why))
}

/// Acme's two accounts and a third on one service, and one of Acme's on another; all live. The second account of Acme's has not paid.
pub(crate) struct Scene {
    pub(crate) acme: String,
    pub(crate) edge: Service,
    pub(crate) paid: Request,
    pub(crate) unpaid: Request,
    pub(crate) unpaid_elsewhere: Request,
    pub(crate) third: Request,
}

pub(crate) async fn scene(app: &TestApp) -> Scene {
    app.add_account_region().await;
    let edge = app.service_for("edge", &[CONSUMER, OTHER, THIRD]).await;
    let core = app.service_for("core", &[OTHER]).await;
    let acme = app.add_consumer_with("Acme", &[CONSUMER, OTHER]).await;
    let paid = app.live(CONSUMER, &edge).await;
    let unpaid = app.live(OTHER, &edge).await;
    let unpaid_elsewhere = app.live(OTHER, &core).await;
    let third = app.live(THIRD, &edge).await;
    app.in_force(None, &closed_to(OTHER)).await;
    Scene {
        acme,
        edge,
        paid,
        unpaid,
        unpaid_elsewhere,
        third,
    }
}
