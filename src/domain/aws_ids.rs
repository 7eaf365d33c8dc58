//! AWS's ids in the place of ours: which row one means. Pure.

/// A row that has an AWS id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known<Id> {
    /// Our id of it.
    pub id: Id,
    /// Whether its service is still registered by the row.
    pub current: bool,
}

/// What an AWS id means here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning<Id> {
    /// Nothing is known by it.
    Nothing,
    /// This.
    One(Id),
    /// Any of these; AWS's ids are unique within a Region of a partition only.
    Several(Vec<Id>),
}

/// Which of the rows that have an AWS id, the last first, the id means: the one that is current; of those that are all over, the last.
pub fn meaning<Id: Copy>(known: &[Known<Id>]) -> Meaning<Id> {
    let current: Vec<Id> = known
        .iter()
        .filter(|row| row.current)
        .map(|row| row.id)
        .collect();
    match (current.as_slice(), known) {
        ([one], _) => Meaning::One(*one),
        ([], []) => Meaning::Nothing,
        ([], [last, ..]) => Meaning::One(last.id),
        _ => Meaning::Several(current),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_means_what_is_current_and_else_the_last() {
        let row = |id, current| Known { id, current };
        assert_eq!(meaning::<u8>(&[]), Meaning::Nothing);
        assert_eq!(meaning(&[row(1, true)]), Meaning::One(1));
        assert_eq!(meaning(&[row(2, false), row(1, true)]), Meaning::One(1));
        assert_eq!(meaning(&[row(2, false), row(1, false)]), Meaning::One(2));
        let both = [row(3, false), row(2, true), row(1, true)];
        assert_eq!(meaning(&both), Meaning::Several(vec![2, 1]));
    }
}
