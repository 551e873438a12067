//! How do pictures become text? Family by family into buffers that are kept;
//! what did not change since the last time is not written again.

mod exposition;
mod lines;
mod segment;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config;
use crate::model::id::SystemId;
use crate::model::picture::Picture;
use crate::model::snapshot::{Collector, Snapshot};
use crate::model::stats::StatKind;
use crate::model::unit::Timestamp;

use super::catalog::{Family, Placed, Rule, Sample, Scope, families};
use super::choose::{Choice, Choices, candidates};
use super::derive::LatencyHistograms;
use super::labels::Names;
use super::view::{Entry, Keep, Rows, View};

pub use exposition::{Body, Exposition, Format};
pub(crate) use lines::{Labels, Lines, bound};
pub(super) use segment::header;

use exposition::{Asked, Block};
use segment::{Forms, Packer, Segment};

/// Kinds whose objects a limit may withhold: what matters more comes first.
const CUTTABLE: [Collector; 3] = [Collector::Sdcs, Collector::Devices, Collector::Volumes];

/// Writes expositions, and keeps between them what need not be made again.
pub struct Encoder {
    config: config::Metrics,
    systems: BTreeMap<SystemId, System>,
    asked: Arc<Asked>,
    press: Press,
}

/// What families are written with, one after the other.
struct Press {
    /// The forms that are wanted of what is written.
    forms: Forms,
    packer: Packer,
    /// Lines of a family that are not kept as text.
    scratch: Vec<u8>,
}

/// What is kept of one system.
struct System {
    known: Known,
    slots: Vec<Slot>,
}

/// What a [`View`] is made of beside the picture.
struct Known {
    names: Names,
    rows: Rows,
    choices: Choices,
    latencies: LatencyHistograms,
    keep: Keep,
}

/// The lines of one family of one system.
#[derive(Default)]
struct Slot {
    current: Option<Arc<Segment>>,
    /// The one before: its memory is used again when nobody sends it any more.
    retired: Option<Arc<Segment>>,
    made_of: Option<MadeOf>,
    withheld: usize,
}

/// Lines made of the same need not be written again.
#[derive(Clone, Copy, PartialEq, Eq)]
struct MadeOf {
    changed: u64,
    chosen: u64,
    present: bool,
    keep: usize,
}

impl Encoder {
    /// An encoder that has seen nothing.
    pub fn new(config: &config::Metrics) -> Self {
        Self {
            config: config.clone(),
            systems: BTreeMap::new(),
            asked: Arc::default(),
            press: Press { forms: Forms { text: true, packed: false }, packer: Packer::default(), scratch: Vec::new() },
        }
    }

    /// Writes the newest pictures, one of each system. An exposition that was
    /// made before stays as it is.
    pub fn encode(&mut self, pictures: &[Arc<Picture>], now: Timestamp) -> Arc<Exposition> {
        self.systems.retain(|id, _| pictures.iter().any(|picture| picture.system == *id));
        for picture in pictures {
            let system = self
                .systems
                .entry(picture.system.clone())
                .or_insert_with(|| System::new(picture.system.as_str(), &self.config));
            system.known.update(picture.snapshot.as_deref(), now);
        }
        let pictures: BTreeMap<&SystemId, &Picture> =
            pictures.iter().map(|picture| (&picture.system, &**picture)).collect();

        self.press.forms = self.asked.lately(now);
        let press = &mut self.press;
        let mut total = 0;
        for (id, system) in &mut self.systems {
            let Some(picture) = pictures.get(id) else { continue };
            total +=
                system.write(press, picture, |family| !CUTTABLE.iter().any(|kind| family.scope == Scope::Of(*kind)));
            total += Counts::MOST_LINES;
        }
        let mut cut = false;
        for kind in CUTTABLE {
            for (id, system) in &mut self.systems {
                let Some(picture) = pictures.get(id) else { continue };
                // What a cut leaves over is not for kinds that matter less:
                // a few of everything would look like all of it.
                let budget = if cut { 0 } else { self.config.max_series.saturating_sub(total) };
                total += system.fit(press, picture, kind, budget);
            }
            cut |= self.systems.values().any(|system| system.withheld(kind) > 0);
        }
        for system in self.systems.values_mut() {
            system.write_counts(press);
        }

        let blocks = families()
            .iter()
            .enumerate()
            .filter_map(|(index, family)| {
                let segments: Vec<Arc<Segment>> = self
                    .systems
                    .values_mut()
                    .filter_map(|system| {
                        let slot = system.slots.get_mut(index)?;
                        let segment = slot.current.as_mut()?;
                        // Written when other forms were wanted, or asked for meanwhile.
                        if segment.forms() != press.forms {
                            *segment = Arc::new(segment.only(press.forms, &mut press.packer));
                            slot.retired = None;
                        }
                        (segment.series > 0).then(|| Arc::clone(segment))
                    })
                    .collect();
                (!segments.is_empty()).then_some(Block { family, segments })
            })
            .collect();
        let seqs =
            pictures.iter().filter_map(|(id, picture)| Some(((*id).clone(), picture.snapshot.as_ref()?.seq))).collect();
        Arc::new(Exposition::new(blocks, seqs, Arc::clone(&self.asked)))
    }
}

impl Known {
    fn update(&mut self, snapshot: Option<&Snapshot>, now: Timestamp) {
        if let Some(snapshot) = snapshot {
            self.names.update(snapshot);
            self.rows.update(snapshot);
            self.choose(snapshot, now);
            self.latencies.update(snapshot, self.rows.volumes());
        }
    }

    fn choose(&mut self, snapshot: &Snapshot, now: Timestamp) {
        let table = |kind| snapshot.statistics.as_ref().and_then(|statistics| statistics.table(kind));
        macro_rules! choose {
            ($($slot:ident: $kind:ident),*) => {$({
                let objects = snapshot.$slot.as_ref().map_or(0, |part| part.len());
                let rows = &self.rows;
                let candidates = || candidates(&snapshot.$slot, rows.$slot(), table(StatKind::$kind));
                self.choices.$slot.update(objects, candidates, now);
            })*};
        }
        choose!(devices: Device, sdcs: Sdc, volumes: Volume);
    }

    /// The choice among a kind that may be cut.
    const fn choice(&self, kind: Collector) -> &Choice {
        match kind {
            Collector::Devices => &self.choices.devices,
            Collector::Sdcs => &self.choices.sdcs,
            _ => &self.choices.volumes,
        }
    }

    fn view<'a>(&'a self, picture: &'a Picture) -> View<'a> {
        View {
            picture,
            snapshot: picture.snapshot.as_deref(),
            names: &self.names,
            rows: &self.rows,
            choices: &self.choices,
            keep: self.keep,
            latencies: &self.latencies,
        }
    }

    /// How many objects of a kind that may be cut are written.
    fn kept(&mut self, kind: Collector) -> &mut usize {
        match kind {
            Collector::Devices => &mut self.keep.devices,
            Collector::Sdcs => &mut self.keep.sdcs,
            _ => &mut self.keep.volumes,
        }
    }
}

impl System {
    fn new(id: &str, config: &config::Metrics) -> Self {
        Self {
            known: Known {
                names: Names::new(id),
                rows: Rows::default(),
                choices: Choices {
                    devices: Choice::new(config.devices),
                    sdcs: Choice::new(config.sdcs),
                    volumes: Choice::new(config.volumes),
                },
                latencies: LatencyHistograms::default(),
                keep: Keep::ALL,
            },
            slots: families().iter().map(|_| Slot::default()).collect(),
        }
    }

    /// Writes the families that are wanted; returns the number of their series.
    fn write(&mut self, press: &mut Press, picture: &Picture, wanted: impl Fn(&Family) -> bool) -> usize {
        let view = self.known.view(picture);
        let mut series = 0;
        for (family, slot) in families().iter().zip(&mut self.slots).filter(|(family, _)| wanted(family)) {
            let made_of = made_of(&family.rule, &view);
            if made_of.is_none() || slot.made_of != made_of || slot.current.is_none() {
                slot.write(press, family, |lines| write_family(family, &view, lines));
                slot.made_of = made_of;
            }
            series += slot.current.as_ref().map_or(0, |segment| segment.series);
        }
        series
    }

    /// Writes the families of a kind with as many of its objects as `budget`
    /// series allow; returns the number of series.
    fn fit(&mut self, press: &mut Press, picture: &Picture, kind: Collector, budget: usize) -> usize {
        if self.known.choice(kind).is_off() {
            return 0;
        }
        let objects = self.known.choice(kind).count();
        let mut may_grow = true;
        loop {
            let keep = (*self.known.kept(kind)).min(objects);
            *self.known.kept(kind) = if keep == objects { usize::MAX } else { keep };
            let written = self.write(press, picture, |family| family.scope == Scope::Of(kind));
            let all = written + self.withheld(kind);
            let fits = if all <= budget { objects } else { objects * budget / all };
            let next = if written > budget && keep > 0 {
                // A tenth less than before at least, so that this ends.
                fits.min(keep - keep.div_ceil(10))
            } else if keep < objects && may_grow && (fits == objects || fits > keep + keep / 10) {
                // Only for a gain that is worth new series: those at the edge
                // would come and go with every poll.
                may_grow = false;
                fits
            } else {
                return written;
            };
            *self.known.kept(kind) = next;
        }
    }

    fn withheld(&self, kind: Collector) -> usize {
        families()
            .iter()
            .zip(&self.slots)
            .filter(|(family, _)| family.scope == Scope::Of(kind))
            .map(|(_, slot)| slot.withheld)
            .sum()
    }

    /// Writes how many series there are, and how many are not.
    fn write_counts(&mut self, press: &mut Press) {
        let mut counts = Counts::default();
        for (family, slot) in families().iter().zip(&self.slots) {
            if !matches!(family.rule, Rule::Series | Rule::Dropped) {
                let series = slot.current.as_ref().map_or(0, |segment| segment.series);
                counts.add(family.scope, series, slot.withheld);
            }
        }
        let Self { known, slots } = self;
        let labels = Labels::new(&known.names.system);
        for (family, slot) in families().iter().zip(slots) {
            match family.rule {
                Rule::Series => slot.write(press, family, |lines| {
                    for (collector, series) in counts.with_ourselves() {
                        lines.line(labels).label("collector", collector).is(series as f64);
                    }
                }),
                Rule::Dropped => slot.write(press, family, |lines| {
                    for kind in CUTTABLE {
                        let withheld = counts.withheld.get(kind.as_str()).copied().unwrap_or(0);
                        lines.line(labels).label("collector", kind.as_str()).is(withheld as f64);
                    }
                }),
                Rule::Whole(_)
                | Rule::Device(_)
                | Rule::Sdc(_)
                | Rule::Volume(_)
                | Rule::Stats(..)
                | Rule::Registry => {}
            }
        }
    }
}

impl Slot {
    fn write(&mut self, press: &mut Press, family: &Family, write: impl FnOnce(&mut Lines<'_>)) {
        let (kept, room) = match self.retired.take().map(Arc::try_unwrap) {
            Some(Ok(segment)) => segment.into_buffers(),
            // Somebody still sends it, or there was none.
            Some(Err(_)) | None => (Vec::new(), Vec::new()),
        };
        let before = self.current.as_ref().map_or(0, |segment| segment.len());
        let mut text = if press.forms.text { kept } else { std::mem::take(&mut press.scratch) };
        text.clear();
        if press.forms.text && text.capacity() > 4 * before + (64 << 10) {
            text = Vec::new();
        }
        text.reserve(before);
        let mut lines = Lines::new(&mut text, &family.name);
        write(&mut lines);
        let (written, withheld) = (lines.written, lines.withheld);
        self.withheld = withheld;
        // What grew has up to twice the room that it needs, and is held ready in two copies.
        if press.forms.text && text.capacity() > text.len() + text.len() / 4 {
            text.shrink_to(text.len() + text.len() / 8);
        }
        let segment = if press.forms.text {
            let segment = Segment::of_text(text, written);
            if press.forms.packed {
                segment.pack(&mut press.packer, room);
            }
            segment
        } else {
            let segment = Segment::of_packed(&text, &mut press.packer, room, written);
            press.scratch = text;
            segment
        };
        self.retired = self.current.replace(Arc::new(segment));
    }
}

/// Series by what `collect[]` calls them.
#[derive(Default)]
struct Counts {
    series: BTreeMap<&'static str, usize>,
    withheld: BTreeMap<&'static str, usize>,
}

impl Counts {
    /// The most lines that these counts take themselves.
    const MOST_LINES: usize = Collector::ALL.len() + 1 + CUTTABLE.len();

    fn add(&mut self, scope: Scope, series: usize, withheld: usize) {
        // A kind of which the limit leaves nothing is told with 0.
        if series > 0 || withheld > 0 {
            *self.series.entry(scope.as_str()).or_default() += series;
        }
        if withheld > 0 {
            *self.withheld.entry(scope.as_str()).or_default() += withheld;
        }
    }

    /// The counts, those of the lines that tell them included.
    fn with_ourselves(&self) -> impl Iterator<Item = (&'static str, usize)> + '_ {
        let ourselves = Scope::Exporter.as_str();
        let lines = self.series.len() + usize::from(!self.series.contains_key(ourselves)) + CUTTABLE.len();
        let mut all = self.series.clone();
        *all.entry(ourselves).or_default() += lines;
        all.into_iter()
    }
}

/// What the lines of a rule are made of, where that seldom changes.
fn made_of(rule: &Rule, view: &View<'_>) -> Option<MadeOf> {
    let snapshot = view.snapshot;
    match rule {
        Rule::Device(_) => Some(MadeOf {
            changed: view.names.devices.changed(),
            chosen: view.choices.devices.changed(),
            present: snapshot.is_some_and(|snapshot| snapshot.devices.is_some()),
            keep: view.keep.devices,
        }),
        Rule::Sdc(_) => Some(MadeOf {
            changed: view.names.sdcs.changed(),
            chosen: view.choices.sdcs.changed(),
            present: snapshot.is_some_and(|snapshot| snapshot.sdcs.is_some()),
            keep: view.keep.sdcs,
        }),
        Rule::Volume(_) => Some(MadeOf {
            changed: view.names.volumes.changed(),
            chosen: view.choices.volumes.changed(),
            present: snapshot.is_some_and(|snapshot| snapshot.volumes.is_some()),
            keep: view.keep.volumes,
        }),
        Rule::Whole(_) | Rule::Stats(..) | Rule::Series | Rule::Dropped | Rule::Registry => None,
    }
}

fn write_family(family: &Family, view: &View<'_>, lines: &mut Lines<'_>) {
    match &family.rule {
        Rule::Whole(write) => write(view, lines),
        Rule::Device(write) => view.devices().for_each(|entry| write(entry.object, entry.labels, lines)),
        Rule::Sdc(write) => view.sdcs().for_each(|entry| write(entry.object, entry.labels, lines)),
        Rule::Volume(write) => view.volumes().for_each(|entry| write(entry.object, entry.labels, lines)),
        Rule::Stats(kind, samples) => match kind {
            StatKind::System => {
                let entry = view.system_row().map(|row| (view.system(), row.values()));
                write_stats(view, *kind, samples, lines, entry.into_iter());
            }
            StatKind::ProtectionDomain => write_stats(view, *kind, samples, lines, with_rows(view.domains())),
            StatKind::StoragePool => write_stats(view, *kind, samples, lines, with_rows(view.pools())),
            StatKind::Sds => write_stats(view, *kind, samples, lines, with_rows(view.sds())),
            StatKind::Device => write_stats(view, *kind, samples, lines, with_rows(view.devices())),
            StatKind::Sdc => write_stats(view, *kind, samples, lines, with_rows(view.sdcs())),
            StatKind::Volume => write_stats(view, *kind, samples, lines, with_rows(view.volumes())),
            StatKind::ConsistencyGroup => write_stats(view, *kind, samples, lines, with_rows(view.groups())),
            // Pairs have no series of their own, only their groups do.
            StatKind::ReplicationPair => {}
        },
        Rule::Series | Rule::Dropped | Rule::Registry => {}
    }
}

fn with_rows<'a, T: 'a>(entries: impl Iterator<Item = Entry<'a, T>>) -> impl Iterator<Item = (Labels<'a>, &'a [f64])> {
    entries.filter_map(|entry| Some((entry.labels, entry.row?.values())))
}

/// The series of all objects of a kind; most of all lines are written here.
fn write_stats<'a>(
    view: &View<'a>,
    kind: StatKind,
    samples: &[Sample],
    lines: &mut Lines<'_>,
    rows: impl Iterator<Item = (Labels<'a>, &'a [f64])>,
) {
    let Some(table) = view.table(kind) else { return };
    let samples: Vec<(&str, Placed)> = samples
        .iter()
        .filter_map(|sample| Some((sample.more.as_str(), sample.read.placed(table.columns())?)))
        .collect();
    for (labels, values) in rows {
        for (more, read) in &samples {
            lines.sample(labels, more, read.of(values));
        }
    }
}
