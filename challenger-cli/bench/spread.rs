//! Figures of several runs: the median, with the least and the most.

use serde_json::{Value, json};

/// The same figure from several runs.
#[derive(Clone, Debug, Default)]
pub struct Spread(Vec<f64>);

impl Spread {
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Self(sorted)
    }

    /// The middle one, or the mean of both; 0 without any.
    pub fn median(&self) -> f64 {
        let at = |index: usize| self.0.get(index).copied().unwrap_or_default();
        let last = self.0.len().saturating_sub(1);
        f64::midpoint(at(last / 2), at(last.div_ceil(2)))
    }

    pub fn least(&self) -> f64 {
        self.0.first().copied().unwrap_or_default()
    }

    pub fn most(&self) -> f64 {
        self.0.last().copied().unwrap_or_default()
    }

    /// `median (least..most)`
    pub fn text(&self, digits: usize) -> String {
        if self.0.is_empty() {
            return "–".to_owned();
        }
        format!("{:.digits$} ({:.digits$}..{:.digits$})", self.median(), self.least(), self.most())
    }

    pub fn to_json(&self) -> Value {
        json!({"median": self.median(), "min": self.least(), "max": self.most(), "runs": self.0})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]).text(1), "2.0 (1.0..3.0)");
        assert_eq!(Spread::of([4.0, 1.0]).text(1), "2.5 (1.0..4.0)");
        assert_eq!(Spread::of([]).text(1), "–");
    }
}
