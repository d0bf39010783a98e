//! A ring's heart rate: nights, days with some movement, and noise.

use std::f64::consts::TAU;

use crate::common::time::Timestamp;

/// Microseconds.
const HOUR: i64 = 3_600_000_000;

/// Returns the heart rate of the person `seed` at an instant, in whole beats per minute. It depends on
/// nothing else. Nights are in UTC.
pub fn heart_rate_at(seed: u64, at: Timestamp) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "hours of a day need no more precision")]
    let hour = at.micros().rem_euclid(24 * HOUR) as f64 / HOUR as f64;
    let resting = 46.0 + 14.0 * pseudo_random(seed, 1);
    let is_asleep = !(6.5..23.0).contains(&hour);
    let rhythm =
        if is_asleep { -2.0 * (hour * TAU / 1.5).cos() } else { 14.0 - 8.0 * (hour * TAU / 24.0).cos() };
    let quarter = at.micros().div_euclid(HOUR / 4).unsigned_abs();
    let is_moving = !is_asleep && pseudo_random(seed, quarter) > 0.9;
    let movement = if is_moving { 25.0 + 40.0 * pseudo_random(seed, quarter + 1) } else { 0.0 };
    let noise = 6.0 * (pseudo_random(seed, at.micros().unsigned_abs()) - 0.5);
    (resting + rhythm + movement + noise).round()
}

/// Returns the number from 0 to 1 at a position of the seed's sequence (splitmix64).
pub(crate) fn pseudo_random(seed: u64, position: u64) -> f64 {
    let mut x =
        seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(position.wrapping_mul(0xD1B5_4A32_D192_ED03));
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    #[expect(clippy::cast_precision_loss, reason = "any number will do")]
    let fraction = (x >> 11) as f64 / (1_u64 << 53) as f64;
    fraction
}
