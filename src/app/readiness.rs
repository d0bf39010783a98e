use crate::app::state::App;
use crate::store::operations::tick_lock::Standing;
use crate::store::operations::{patient_status, tick_lock};

/// Why the daemon does not do its work. That it runs at all means that the schema is up to date.
pub(crate) async fn unready(app: &App) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Err(error) = app.store.write(patient_status::prove_writable).await {
        reasons.push(format!("the database cannot be written: {error}"));
    }
    let ticks = app.ticks.get();
    if ticks.failed {
        reasons.push(format!("the last tick could not run: {}", ticks.outcome.unwrap_or_default()));
    }
    let age = app.clock.now().since(ticks.last);
    if age > ticks.interval * OVERDUE && !is_at_work(app).await {
        reasons.push(format!(
            "the last tick ended {} s ago, at {}; one is due every {} s",
            age.as_secs(),
            ticks.last,
            ticks.interval.as_secs()
        ));
    }
    reasons
}

/// Whether a tick is under way and shows that it goes on, of this process or another: it took the lock, or renewed it as
/// it made progress, less than [`tick_lock::STALE`] ago. A first one may take hours, and so may one of a command.
pub(crate) async fn is_at_work(app: &App) -> bool {
    let (directory, now) = (app.store.directory().to_owned(), app.clock.now());
    match app.store.read(move |db| tick_lock::look(db, &directory, now)).await {
        // A tick of ours may wait for whoever has it.
        Ok(Standing::Held { by_tick, .. }) => by_tick || app.ticks.running().is_some(),
        _ => false,
    }
}

/// A tick that ended longer ago than this many intervals is overdue.
pub(crate) const OVERDUE: u32 = 3;
