//! Numbers of bytes for messages.

/// `n` bytes in decimal units (1 kB = 1000 bytes, as disks and cards are sold), with at most three digits.
pub fn human_bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if n < 1000 {
        return format!("{n} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let mut value = n as f64;
    let mut shown = "B";
    for unit in UNITS {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        shown = unit;
    }
    if value < 9.95 {
        format!("{value:.1} {shown}")
    } else {
        format!("{value:.0} {shown}")
    }
}

#[cfg(test)]
mod tests {
    use super::human_bytes;

    #[test]
    fn sizes_have_at_most_three_digits() {
        assert_eq!(human_bytes(0), "0 B");
        assert_eq!(human_bytes(999), "999 B");
        assert_eq!(human_bytes(1000), "1.0 kB");
        assert_eq!(human_bytes(999_999), "1.0 MB");
        assert_eq!(human_bytes(42_377_860), "42 MB");
        assert_eq!(human_bytes(u64::MAX), "18447 PB");
    }
}
