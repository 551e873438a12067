//! Whether people are told in time when the clock was wrong and is set back.

use super::*;

impl Story {
    /// The clock is set back by so many seconds.
    fn set_back(&mut self, seconds: i64) -> &mut Self {
        self.now -= seconds;
        self
    }
}

const DAY: i64 = 24 * HOUR;

#[test]
fn what_waits_is_told_after_one_more_wait() {
    let mut story = Story::new(|_| {});
    story.fires(20, &["A"]).set_back(DAY).fires(100 - DAY, &["A"]);
    assert_eq!(story.told(), [format!("{} firing A -", 50 - DAY)], "seen anew at second 20, which became that");
    // A mail was sent a day from now, as it seems; the next ones keep to their intervals.
    story.set_back(DAY);
    let begun = story.now;
    story.fires(begun + 400, &["A", "B"]).fires(begun + 6 * HOUR, &["A", "B"]);
    let told = story.told();
    assert_eq!(told[0], format!("{} update A,B -", begun + 300));
    assert!(told[1].contains("reminder A,B"), "{told:?}");
    story.set_back(DAY);
    let over = story.now;
    story.fires(over + 400, &[]);
    assert_eq!(story.told(), [format!("{} resolved  -A,B", over + 300)]);
}

#[test]
fn silences_and_acknowledgements_last_as_long_as_they_were_to() {
    let mut story = Story::new(|_| {});
    story.silence("alertname=A", 3_600);
    story.fires(100, &["A"]).set_back(DAY);
    let begun = story.now;
    story.fires(begun + 3_500, &["A"]);
    assert_eq!(story.told().iter().filter(|line| line.contains("firing")).count(), 0);
    story.fires(begun + 4_000, &["A"]);
    let firing: Vec<String> = story.told().into_iter().filter(|line| line.contains("firing A")).collect();
    assert_eq!(firing.len(), 1, "{firing:?}");

    let mut story = Story::new(|_| {});
    story.fires(100, &["A"]);
    story.acknowledge(&["A"], "A", Some(6 * 3600));
    story.told();
    story.set_back(DAY);
    let begun = story.now;
    story.fires(begun + 5 * HOUR, &["A"]);
    assert_eq!(story.told(), [""; 0]);
    story.fires(begun + 7 * HOUR, &["A"]);
    assert_eq!(story.told().len(), 1, "its time is over");
}

#[test]
fn the_room_of_an_hour_is_free_again_after_an_hour() {
    let mut story = Story::new(|notify| notify.routes[0].mails_an_hour = 2);
    story.fires(100, &["x/a"]).fires(200, &["x/a", "y/b"]).fires(300, &["x/a", "y/b", "z/c"]);
    assert_eq!(story.told().len(), 2, "the third one waits");
    story.set_back(DAY);
    let begun = story.now;
    story.fires(begun + HOUR + 700, &["x/a", "y/b", "z/c"]);
    assert!(story.told().iter().any(|line| line.contains('c')), "it is told within the hour");
}
