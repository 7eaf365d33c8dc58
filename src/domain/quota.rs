//! Quotas: how much a consumer may use at most, and what is too much. Pure.

use std::collections::BTreeSet;

use serde::Serialize;

use super::text::text_enum;

text_enum!(
    /// What is counted.
    QuotaFigure {
        /// Connections on all services together.
        Connections = "connections",
        /// Endpoints on one service.
        EndpointsPerService = "endpoints_per_service",
        /// Regions that endpoints are in, over all services.
        Regions = "regions",
    }
);

/// The most that may be used. `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Connections on all services together.
    pub connections: Option<i64>,
    /// Endpoints on any one service.
    pub endpoints_per_service: Option<i64>,
    /// Regions that endpoints are in, over all services.
    pub regions: Option<i64>,
}

impl Limits {
    /// Fills what is not limited here with another's figures.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            connections: self.connections.or(other.connections),
            endpoints_per_service: self.endpoints_per_service.or(other.endpoints_per_service),
            regions: self.regions.or(other.regions),
        }
    }

    /// Which figures a use goes beyond.
    pub fn exceeded(self, used: &Used) -> Vec<Excess> {
        QuotaFigure::ALL
            .iter()
            .filter_map(|figure| {
                let limit = self.of(*figure)?;
                let used = used.of(*figure);
                (used > limit).then_some(Excess {
                    figure: *figure,
                    limit,
                    used,
                })
            })
            .collect()
    }

    /// The limit of a figure.
    pub fn of(self, figure: QuotaFigure) -> Option<i64> {
        match figure {
            QuotaFigure::Connections => self.connections,
            QuotaFigure::EndpointsPerService => self.endpoints_per_service,
            QuotaFigure::Regions => self.regions,
        }
    }
}

/// What is used: connections that are accepted, or live without a decision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Used {
    /// Connections on all services together.
    pub connections: i64,
    /// Endpoints on the service that is asked about.
    pub endpoints_on_service: i64,
    /// The Regions that endpoints are in.
    pub regions: BTreeSet<String>,
}

impl Used {
    /// What is used once another endpoint, in a Region, is accepted on the service.
    #[must_use]
    pub fn with_one_more(mut self, region: &str) -> Self {
        self.connections += 1;
        self.endpoints_on_service += 1;
        self.regions.insert(region.to_owned());
        self
    }

    /// What of a figure is used.
    pub fn of(&self, figure: QuotaFigure) -> i64 {
        match figure {
            QuotaFigure::Connections => self.connections,
            QuotaFigure::EndpointsPerService => self.endpoints_on_service,
            QuotaFigure::Regions => i64::try_from(self.regions.len()).unwrap_or(i64::MAX),
        }
    }
}

/// A figure and what goes beyond it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Excess {
    /// What is counted.
    pub figure: QuotaFigure,
    /// The most.
    pub limit: i64,
    /// What would be used.
    pub used: i64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use QuotaFigure as F;

    fn limits(connections: i64, endpoints: i64, regions: i64) -> Limits {
        Limits {
            connections: Some(connections),
            endpoints_per_service: Some(endpoints),
            regions: Some(regions),
        }
    }

    #[test]
    fn the_last_place_can_be_taken_and_the_next_not() {
        let used = Used::default().with_one_more("eu-west-1");
        assert_eq!(limits(1, 1, 1).exceeded(&used), []);
        let used = used.with_one_more("eu-west-1");
        let figures = |all: Vec<Excess>| all.iter().map(|e| e.figure).collect::<Vec<_>>();
        assert_eq!(figures(limits(1, 2, 1).exceeded(&used)), [F::Connections]);
        assert_eq!(
            figures(limits(2, 1, 1).exceeded(&used)),
            [F::EndpointsPerService]
        );
        let used = used.with_one_more("us-east-1");
        assert_eq!(figures(limits(3, 3, 1).exceeded(&used)), [F::Regions]);
    }

    #[test]
    fn a_consumers_own_figure_goes_before_the_services() {
        let own = Limits {
            connections: Some(9),
            ..Limits::default()
        };
        let both = own.or(limits(1, 2, 3));
        assert_eq!(both, limits(9, 2, 3));
    }

    proptest! {
        /// More use never makes an excess go away, and no limit never refuses.
        #[test]
        fn more_use_is_never_less_too_much(most in 0_i64..5, regions in prop::collection::vec("[a-c]", 0..8)) {
            let limits = limits(most, most, most);
            let mut used = Used::default();
            let mut before = 0;
            for region in &regions {
                used = used.with_one_more(region);
                let now = limits.exceeded(&used).len();
                prop_assert!(now >= before);
                prop_assert_eq!(Limits::default().exceeded(&used).len(), 0);
                before = now;
            }
        }
    }
}
