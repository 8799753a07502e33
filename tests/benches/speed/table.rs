//! The figures as a table, to be read here or in markdown.

use std::collections::HashMap;

use crate::Report;
use crate::works::{Must, Row, Unit, Work};

const COLUMNS: [&str; 7] = [
    "work",
    "figure",
    "against",
    "fastvm",
    "ratio",
    "must hold",
    "",
];

#[derive(Default)]
pub(crate) struct Table {
    lines: Vec<Line>,
}

impl Table {
    pub(crate) fn push(&mut self, lines: Vec<Line>) {
        self.lines.extend(lines);
    }

    pub(crate) fn has_misses(&self) -> bool {
        self.lines.iter().any(|line| line.holds == Some(false))
    }

    pub(crate) fn shown(&self, is_markdown: bool) -> String {
        let mut rows = vec![COLUMNS.map(str::to_owned)];
        let mut last = "";
        for line in &self.lines {
            let mut cells = line.cells.clone();
            // Said once.
            if line.cells[0] == last {
                cells[0].clear();
            }
            last = &line.cells[0];
            rows.push(cells);
        }
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
        let widths = std::array::from_fn(|column| width(column).unwrap_or(0));
        rows.insert(1, widths.map(|width| "-".repeat(width.max(3))));
        let (open, between, close) = match is_markdown {
            true => ("| ", " | ", " |"),
            false => ("", "   ", ""),
        };
        let line = |row: &[String; COLUMNS.len()]| {
            let cells = row.iter().zip(widths);
            let cells: Vec<_> = cells
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            format!("{open}{}{close}", cells.join(between))
                .trim_end()
                .to_owned()
        };
        rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

pub(crate) struct Line {
    cells: [String; COLUMNS.len()],
    holds: Option<bool>,
}

impl Line {
    pub(crate) fn new(
        work: &Work,
        row: &Row,
        reports: &HashMap<&str, Vec<Report>>,
        margin: f64,
    ) -> Self {
        let figures = |who: &str| -> Vec<f64> {
            let reports = reports.get(who).into_iter().flatten();
            reports.map(row.figure.of).collect()
        };
        let (own, other) = (figures(&row.of), figures(&row.against));
        // Of each round, whose two were measured one after the other: what slows down the machine
        // for a while slows down both.
        let ratios = own.iter().zip(&other).map(|(own, other)| own / other);
        let ratio = median(ratios.collect());
        let (own, other) = (median(own), median(other));
        let holds = row.must.holds(own, ratio, margin);
        let unit = row.figure.unit;
        let own = match row.of.strip_prefix("fastvm").unwrap_or(&row.of).trim() {
            "" => shown(own, unit),
            who => format!("{who}: {}", shown(own, unit)),
        };
        Self {
            cells: [
                work.name.clone(),
                row.figure.name.to_owned(),
                format!("{}: {}", row.against, shown(other, unit)),
                own,
                format!("{ratio:.2}"),
                limit(row.must, unit),
                verdict(holds).to_owned(),
            ],
            holds,
        }
    }

    /// In place of those of a work that could not be done.
    pub(crate) fn failed(work: &Work) -> Self {
        let mut cells: [String; COLUMNS.len()] = Default::default();
        cells[0].clone_from(&work.name);
        cells[COLUMNS.len() - 1] = "FAILED".to_owned();
        Self {
            cells,
            holds: Some(false),
        }
    }

    /// To be read while the rest is measured.
    pub(crate) fn brief(&self) -> String {
        self.cells.join("  ")
    }
}

fn verdict(holds: Option<bool>) -> &'static str {
    match holds {
        Some(true) => "ok",
        Some(false) => "MISS",
        None => "",
    }
}

fn limit(must: Must, unit: Unit) -> String {
    match must {
        Must::Nothing => String::new(),
        Must::Ratio(limit) => format!("≤ {limit:.2}"),
        Must::RatioAtLeast(limit) => format!("≥ {limit:.2}"),
        Must::Most(limit) => format!("≤ {}", shown(limit, unit)),
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => (values[count / 2 - 1] + values[count / 2]) / 2.0,
    }
}

fn shown(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Seconds if value < 1e-3 => format!("{:.1} µs", value * 1e6),
        Unit::Seconds if value < 1.0 => format!("{:.2} ms", value * 1e3),
        Unit::Seconds => format!("{value:.2} s"),
        Unit::Bytes if value < 1024.0 * 1024.0 => format!("{:.1} KiB", value / 1024.0),
        Unit::Bytes => format!("{:.1} MiB", value / 1024.0 / 1024.0),
        Unit::BytesPerSecond => format!("{:.0} MB/s", value / 1e6),
        Unit::PerSecond => format!("{value:.0} /s"),
        Unit::Count if value < 10.0 => format!("{value:.1}"),
        Unit::Count => format!("{value:.0}"),
    }
}
