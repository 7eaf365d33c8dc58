//! How many AccountRegions a replica holds: its fair share, what nobody else wants, and never what another waits for. Pure.

/// What a replica sees when it looks around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Census {
    /// AccountRegions that can be served: enabled, and not at rest after a failure to get in.
    pub servable: usize,
    /// Replicas that live, this one included.
    pub replicas: usize,
    /// How many this one holds and keeps.
    pub held: usize,
    /// How many nobody holds.
    pub free: usize,
    /// How many of those this one may take: it leaves those alone that it could not get into a moment ago.
    pub takeable: usize,
    /// How many the other replicas still want.
    pub wanted: usize,
    /// The most that this one may hold.
    pub most: usize,
}

/// What it does about it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// So many free ones are taken.
    pub take: usize,
    /// So many are given back. Never together with taking.
    pub give: usize,
    /// So many are still wanted after that: the others read it.
    pub wants: usize,
}

impl Census {
    /// The fair share: the servable ones through the replicas, rounded up, as far as this replica may go.
    pub fn share(&self) -> usize {
        self.servable.div_ceil(self.replicas.max(1)).min(self.most)
    }

    /// What to do now. What is above the share is given back only as far as another replica wants it and finds none free; so a replica
    /// that can do less than its share leaves the rest to others, and rounding makes nobody pass AccountRegions around.
    pub fn next(&self) -> Move {
        let lacking = self.share().saturating_sub(self.held);
        let due = lacking.min(self.takeable);
        let unwanted = self
            .free
            .saturating_sub(due + self.wanted)
            .min(self.takeable - due);
        let room = self.most.saturating_sub(self.held + due);
        let take = due + unwanted.min(room);
        let surplus = self.held.saturating_sub(self.share());
        let unmet = self.wanted.saturating_sub(self.free);
        let give = if take == 0 { surplus.min(unmet) } else { 0 };
        // What it could not get into is not asked of others: it would not get into theirs either.
        let unreachable = self.free.saturating_sub(self.takeable);
        Move {
            take,
            give,
            wants: lacking.saturating_sub(take + unreachable),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALONE: Census = Census {
        servable: 20,
        replicas: 1,
        held: 0,
        free: 20,
        takeable: 20,
        wanted: 0,
        most: 200,
    };

    #[test]
    fn a_replica_alone_takes_everything() {
        let next = ALONE.next();
        assert_eq!((next.take, next.give, next.wants), (20, 0, 0));
    }

    #[test]
    fn a_newcomer_waits_and_the_one_who_has_too_many_gives_back() {
        let two = Census {
            replicas: 2,
            free: 0,
            takeable: 0,
            ..ALONE
        };
        assert_eq!(
            two.next(),
            Move {
                wants: 10,
                ..Move::default()
            }
        );
        let old = Census {
            held: 20,
            wanted: 10,
            ..two
        };
        assert_eq!(
            old.next(),
            Move {
                give: 10,
                ..Move::default()
            }
        );
    }

    #[test]
    fn what_is_above_the_share_stays_while_nobody_wants_it() {
        let old = Census {
            replicas: 2,
            held: 20,
            free: 0,
            takeable: 0,
            ..ALONE
        };
        assert_eq!(old.next(), Move::default());
    }

    #[test]
    fn what_others_want_is_left_to_them_and_the_rest_is_taken() {
        let full = Census {
            replicas: 2,
            held: 10,
            free: 10,
            takeable: 10,
            wanted: 4,
            ..ALONE
        };
        assert_eq!(full.next().take, 6);
    }

    #[test]
    fn who_gets_in_nowhere_does_not_ask_for_what_others_hold() {
        let locked_out = Census {
            replicas: 2,
            free: 10,
            takeable: 0,
            ..ALONE
        };
        assert_eq!(locked_out.next(), Move::default());
    }

    /// A few replicas that move in turn, as they do: each sees what the others wrote.
    #[derive(Debug)]
    struct World {
        servable: usize,
        replicas: Vec<(Census, usize)>,
    }

    impl World {
        fn new(servable: usize, most: &[usize]) -> Self {
            let replicas = most
                .iter()
                .map(|most| {
                    (
                        Census {
                            held: 0,
                            most: *most,
                            ..ALONE
                        },
                        0,
                    )
                })
                .collect();
            Self { servable, replicas }
        }

        fn free(&self) -> usize {
            let held: usize = self.replicas.iter().map(|(c, _)| c.held).sum();
            self.servable - held
        }

        /// One turn of one replica. Answers whether it moved.
        fn turn(&mut self, index: usize) -> bool {
            let (free, count) = (self.free(), self.replicas.len());
            let wanted = self.replicas.iter().enumerate();
            let wanted = wanted.filter(|(i, _)| *i != index).map(|(_, r)| r.1).sum();
            let (census, wants) = &mut self.replicas[index];
            *census = Census {
                servable: self.servable,
                replicas: count,
                free,
                takeable: free,
                wanted,
                ..*census
            };
            let next = census.next();
            assert!(
                next.take <= free && next.give <= census.held,
                "{census:?} {next:?}"
            );
            assert!(next.take == 0 || next.give == 0, "{census:?} {next:?}");
            census.held = census.held + next.take - next.give;
            assert!(census.held <= census.most, "{census:?}");
            *wants = next.wants;
            next.take + next.give > 0
        }

        /// Runs until nobody moves in a whole round; so many rounds are enough.
        fn settle(&mut self) {
            for _ in 0..8 {
                let moved: Vec<bool> = (0..self.replicas.len()).map(|i| self.turn(i)).collect();
                if !moved.contains(&true) {
                    return;
                }
            }
            panic!("they pass AccountRegions around: {self:?}");
        }

        fn held(&self) -> Vec<usize> {
            self.replicas.iter().map(|(c, _)| c.held).collect()
        }
    }

    proptest! {
        /// Whoever joins or dies, they come to rest within a few rounds, serve all that can be served, and nobody has more than its share while
        /// another has less.
        #[test]
        fn they_come_to_rest_and_share_fairly(
            servable in 0_usize..60,
            most in prop::collection::vec(1_usize..40, 1..5),
            joins in 1_usize..40,
            dies in any::<prop::sample::Index>(),
        ) {
            let mut world = World::new(servable, &most);
            world.settle();
            world.replicas.push((Census { held: 0, most: joins, ..ALONE }, 0));
            world.settle();
            world.replicas.remove(dies.index(world.replicas.len()));
            world.settle();
            let can: usize = world.replicas.iter().map(|(c, _)| c.most).sum();
            let held: usize = world.held().iter().sum();
            prop_assert_eq!(held, servable.min(can));
            let share = servable.div_ceil(world.replicas.len());
            let fair = |census: &Census| share.min(census.most);
            let above = world.replicas.iter().any(|(c, _)| c.held > fair(c));
            let below = world.replicas.iter().any(|(c, _)| c.held < fair(c));
            prop_assert!(!(above && below), "{:?}", world.held());
        }
    }
}
