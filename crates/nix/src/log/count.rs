//! Counts that go on where an earlier process of Nix stopped. Pure.

/// A count of several processes of Nix, each of which counts from zero.
#[derive(Debug, Default)]
pub(super) struct Count {
    /// The activity that counts now.
    activity: u64,
    /// What the activities before it have counted.
    earlier: u64,
    done: u64,
}

impl Count {
    /// What all activities together have `done` and expect, given these counts of `activity`.
    pub(super) fn update(&mut self, activity: u64, done: u64, expected: u64) -> (u64, u64) {
        if self.activity != activity {
            self.activity = activity;
            self.earlier = self.earlier.saturating_add(self.done);
        }
        self.done = done;
        let all = |n: u64| self.earlier.saturating_add(n);
        (all(done), all(expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_process_goes_on_counting() {
        let mut count = Count::default();
        assert_eq!(count.update(1, 0, 70), (0, 70));
        assert_eq!(count.update(1, 70, 70), (70, 70));
        assert_eq!(count.update(2, 0, 32), (70, 102));
        assert_eq!(count.update(2, 32, 32), (102, 102));
    }
}
