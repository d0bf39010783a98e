//! A sample may be stored from both modes; JHE gets one of the two, however modes and export are switched.

use std::collections::BTreeSet;

use crate::support::bucket::*;
use crate::support::connected_world::Scene;
use crate::support::harness::*;

const DAY_OF_TEST: &str = "2026-11-21";

/// A JHE patient whose ring's samples are in OW's API and in the bucket.
struct Both {
    scene: Scene,
    bucket: Bucket,
    user: String,
}

impl Both {
    fn new() -> Self {
        let mut scene = Scene::new();
        scene.world.set("JHE_OW_SECRET_KEY", "0123456789abcdef0123456789abcdef0123456789ab");
        let bucket = Bucket::start();
        use_bucket(&scene.world, &bucket);
        let (user, _) = scene.patient(40001);
        let both = Self { scene, bucket, user };
        both.mode("normalized");
        both
    }

    fn mode(&self, mode: &str) {
        self.scene.world.setting("ow.ingest_mode", mode);
    }

    /// Adds samples at these hours of the day to both the API and the bucket.
    fn measure(&self, hours: &[u32]) {
        for hour in hours {
            self.in_api(*hour);
            self.in_bucket(*hour);
        }
    }

    fn in_api(&self, hour: u32) {
        self.scene.world.sim.put(&self.user, at(&time(hour)), 60.0);
    }

    fn in_bucket(&self, hour: u32) {
        let key = Bucket::key(DAY_OF_TEST, &self.user, &hour.to_string());
        self.bucket.put_heart_rates(&key, &[(&time(hour), 60.0, "rest")]);
    }

    /// Returns the observations at JHE as system and hour, in order; asserts that each hour occurs once.
    fn at_jhe(&self) -> Vec<(String, u32)> {
        let mut all: Vec<(String, u32)> = self
            .scene
            .jhe
            .state()
            .kept
            .iter()
            .map(|kept| {
                let hour = kept.instant().since(at("2026-11-21T00:00:00Z")).as_secs() / 3600;
                (kept.identifier.0.trim_start_matches("ow:").to_owned(), u32::try_from(hour).unwrap())
            })
            .collect();
        all.sort_by_key(|(_, hour)| *hour);
        let hours: BTreeSet<u32> = all.iter().map(|(_, hour)| *hour).collect();
        assert_eq!(hours.len(), all.len(), "duplicate instant: {all:?}");
        all
    }

    fn export(&self) -> Vec<(String, u32)> {
        let ran = self.scene.export();
        assert_eq!(ran.code, 0, "{ran:?}");
        self.at_jhe()
    }
}

fn time(hour: u32) -> String {
    format!("2026-11-21T{hour:02}:00:00Z")
}

fn sent(all: &[(&str, u32)]) -> Vec<(String, u32)> {
    all.iter().map(|(system, hour)| ((*system).to_owned(), *hour)).collect()
}

#[test]
fn a_sample_delivered_from_the_api_is_not_sent_again_from_the_bucket() {
    let both = Both::new();
    both.measure(&[7, 8]);
    assert_eq!(both.scene.world.created(), 2);
    assert_eq!(both.export(), sent(&[("normalized", 7), ("normalized", 8)]));
    both.mode("raw");
    both.measure(&[9]);
    assert_eq!(both.scene.world.created(), 3);
    assert_eq!(both.export(), sent(&[("normalized", 7), ("normalized", 8), ("raw", 9)]));
    both.mode("normalized");
    assert_eq!(both.scene.world.created(), 1);
    assert_eq!(both.export().len(), 3);
    let ran = both.scene.world.run(&["export", "--all"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(both.at_jhe().len(), 3, "export --all must not send duplicates");
}

#[test]
fn unsent_observations_follow_the_setting() {
    let both = Both::new();
    both.measure(&[7, 8]);
    both.in_api(6);
    assert_eq!(both.scene.world.created(), 3);
    both.mode("raw");
    assert_eq!(both.scene.world.created(), 2);
    let all = sent(&[("normalized", 6), ("raw", 7), ("raw", 8)]);
    assert_eq!(both.export(), all, "a sample missing in the bucket is sent from the API");
    both.scene.world.setting("ow.export_system", "ow:normalized");
    assert_eq!(both.export(), all, "no sample is sent under two identifiers");
    both.measure(&[9]);
    assert_eq!(both.scene.world.created(), 1);
    assert_eq!(both.export(), all, "the bucket's observation is not exported under this setting");
    both.scene.world.setting("ow.export_system", "current");
    assert_eq!(both.export().len(), 4);
    assert_eq!(both.export().last().unwrap(), &("raw".to_owned(), 9));
}

#[test]
fn setting_the_mode_and_back_loses_nothing() {
    let both = Both::new();
    both.measure(&[7]);
    assert_eq!(both.scene.world.created(), 1);
    assert_eq!(both.export(), sent(&[("normalized", 7)]));
    both.scene.world.setting("ow.export_system", "ow:raw");
    both.in_api(8);
    assert_eq!(both.scene.world.created(), 1);
    both.scene.world.setting("ow.export_system", "current");
    assert_eq!(both.export(), sent(&[("normalized", 7), ("normalized", 8)]));
}

#[test]
fn a_left_out_observation_is_sent_with_its_current_value_once_chosen() {
    let mut both = Both::new();
    both.scene.world.setting("ow.export_system", "ow:raw");
    both.in_api(7);
    assert_eq!((both.scene.world.created(), both.export().len()), (1, 0));
    both.scene.world.sim.put(&both.user, at(&time(7)), 66.0);
    assert_eq!(both.scene.world.created(), 0);
    both.scene.world.pass(HOUR * 7);
    assert_eq!(both.export(), [], "the correction is not sent, even after it is unchanged long enough");
    both.scene.world.setting("ow.export_system", "current");
    assert_eq!(both.export(), sent(&[("normalized", 7)]));
    let value = both.scene.jhe.state().kept[0].document["body"]["heart_rate"]["value"].as_f64();
    assert_eq!(value, Some(66.0), "the first value is never sent");
}

#[test]
fn a_switch_of_modes_requeues_each_observation_once_over_several_steps() {
    let both = Both::new();
    both.scene.world.setting("ow.first_connect_window", "3d");
    let now = both.scene.world.now;
    let minute = std::time::Duration::from_mins(1);
    both.scene.world.sim.fill(&both.user, now.minus(minute * 2500), now, minute, 1);
    assert_eq!(both.scene.world.created(), 2500);
    let rates = both.scene.world.sim.heart_rates(&both.user);
    let times: Vec<String> = rates.iter().map(|(at, _)| at.to_string()).collect();
    let rates: Vec<(&str, f64, &str)> =
        times.iter().zip(&rates).map(|(at, (_, value))| (at.as_str(), *value, "rest")).collect();
    both.bucket.put_heart_rates(&Bucket::key(DAY_OF_TEST, &both.user, "all"), &rates);
    both.mode("raw");
    assert_eq!(both.scene.world.created(), 2500);
    let ran = both.scene.export();
    assert_eq!(ran.code, 0, "{ran:?}");
    let state = both.scene.jhe.state();
    let instants: BTreeSet<_> = state.kept.iter().map(crate::support::fake_jhe::Kept::instant).collect();
    assert_eq!((instants.len(), state.kept.len()), (2500, 2500));
    assert!(state.kept.iter().all(|kept| kept.identifier.0 == "ow:raw"));
}

#[test]
fn an_ambiguous_delivery_keeps_its_identifier() {
    let both = Both::new();
    both.measure(&[7]);
    assert_eq!(both.scene.world.created(), 1);
    both.scene.jhe.state().faults.push_back(crate::support::fake_jhe::Fault::Lost);
    both.scene.export();
    both.mode("raw");
    assert_eq!(both.scene.world.created(), 1);
    let mut both = both;
    both.scene.world.pass(HOUR);
    assert_eq!(both.export(), sent(&[("normalized", 7)]));
    assert_eq!(both.export(), sent(&[("normalized", 7)]));
}

#[test]
fn only_the_chosen_mode_is_sent_from_the_start() {
    let both = Both::new();
    both.scene.world.setting("ow.export_system", "ow:raw");
    both.measure(&[7]);
    both.in_api(6);
    assert_eq!(both.scene.world.created(), 2);
    assert_eq!(both.export(), []);
    both.mode("raw");
    assert_eq!(both.scene.world.created(), 1);
    assert_eq!(both.export(), sent(&[("raw", 7)]));
}
