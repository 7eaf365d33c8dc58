//! The failure matrix: every call that the worker makes, times every fault, times a worker that is killed at any step.
//!
//! Nothing is listed twice. The calls are those that each story ([`stories`]) is seen to make when nothing goes wrong; the steps at which a
//! worker is killed are these calls, before and after each, and the moments at which it waits for the database. [`calls`] reads
//! the ports' source and fails when one of the two ports has a method that no story leads to. So a new call or a new story joins by itself.
//!
//! After each cell the history checker looks at everything that AWS and the database can tell, and each row has converged or is stalled
//! under the code of the fault. Then a person retries what is stalled, and everything has to converge.
//!
//! `PORTCULLIS_MATRIX=long` runs every kill with every fault; `PORTCULLIS_MATRIX_SEED` chooses other moments. See `docs/testing.md`.

mod calls;
mod cell;
mod faults;
mod hints;
mod kill;
mod stories;
mod table;

use sqlx::PgPool;
use stories::Story;

use crate::support::TestApp;

/// All cells of one story, and the table of what they came to.
async fn story(pool: PgPool, story: Story) {
    let mut app = TestApp::start(pool);
    let cells = Box::pin(cell::of(&mut app, story)).await;
    let mut table = table::Table::new(story);
    for one in &cells {
        let ended = Box::pin(one.run(&mut app)).await;
        table.add(one, &ended);
    }
    table.conclude();
}

macro_rules! stories {
    ($($name:ident: $story:ident,)*) => {$(
        #[sqlx::test(migrations = "./migrations")]
        async fn $name(pool: PgPool) {
            story(pool, Story::$story).await;
        }
    )*

        /// Every story has its test.
        #[test]
        fn every_story_is_told() {
            assert_eq!([$(Story::$story),*], Story::ALL);
        }
    };
}

stories! {
    registering_a_service_survives_everything: Register,
    finding_a_service_again_survives_everything: Reclaim,
    adopting_a_service_survives_everything: Adopt,
    changing_a_service_survives_everything: Change,
    paying_for_endpoints_survives_everything: Pay,
    proving_a_private_dns_name_survives_everything: Prove,
    accepting_survives_everything: Accept,
    rejecting_survives_everything: Reject,
    revoking_survives_everything: Revoke,
    sweeping_survives_everything: Sweep,
    ending_a_service_survives_everything: End,
    setting_hints_up_survives_everything: Listen,
    putting_hints_right_survives_everything: Mend,
    hearing_hints_survives_everything: Hear,
}
