//! Does a cancel, at any decision, end the run clean: nothing in maintenance, nothing drained, nothing half installed?

use scaleio_framework::proof::simulate::Play;

use crate::crashes::only;
use crate::seeds::kept;

#[test]
fn a_cancel_in_every_phase_ends_clean() {
    // Without and with restarts of hosts, and while a node leaves.
    let plays = [only(1, &[]), only(2, &[]), Play { removes: true, only: Some(Vec::new()), ..Play::of(7, 5, 400) }];
    for play in plays {
        let decisions = play.run().decisions;
        let mut cancelled = 0;
        for at in 0..decisions {
            let outcome = Play { cancel_at: Some(at), ..play.clone() }.run();
            kept(&outcome, &format!("seed {}, a cancel at decision {at}", play.seed));
            cancelled += outcome.counts.get("end: cancelled").copied().unwrap_or_default();
        }
        assert!(cancelled > 0, "seed {}: no cancel came while a run was open", play.seed);
    }
}
